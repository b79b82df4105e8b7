import type { Outgoing } from '../../broker/broker.ts';
import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { RecordWriter } from '../../broker/records.ts';

/** A buffer that grew past this for one batch is not kept for the next. */
const WRITER_BYTES_KEPT = 4 * 1024 * 1024;

/**
 * Takes what a buffer holds and leaves it empty, so that encoding goes on while the last batch is being
 * published. The writers of the buffer stay where encoders know them: they exchange their bytes with a
 * second set, which is what is handed out. No record is copied.
 */
export class OutgoingExchange {
  readonly #spares = new Map<RecordWriter, RecordWriter>();

  /** Valid until the next call. */
  take(buffer: OutgoingBuffer): Outgoing[] {
    return buffer.outgoing().map(({ topic, partition, records }) => {
      const spare = this.#spareOf(records);
      spare.reset(WRITER_BYTES_KEPT);
      const { bytes } = spare.out;
      spare.out.bytes = records.out.bytes;
      spare.out.position = records.out.position;
      spare.count = records.count;
      records.out.bytes = bytes;
      records.reset();
      return { topic, partition, records: spare };
    });
  }

  #spareOf(records: RecordWriter): RecordWriter {
    let spare = this.#spares.get(records);
    if (spare === undefined) {
      spare = new RecordWriter(4 * 1024);
      this.#spares.set(records, spare);
    }
    return spare;
  }
}
