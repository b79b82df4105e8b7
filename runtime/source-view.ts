import type {
  CapturedTable,
  Connector,
  CopyProgress,
  CopyRequest,
  SourceHealth,
} from '../connectors/connector.ts';
import { MillraceError } from '../errors.ts';
import type { SnapshotProgress, SourceObserver } from './components.ts';

/** What a source has said of itself since the start, and the way to ask something of it. */
export class SourceView {
  /** The tables as the source has them; empty until it has answered. */
  captured: readonly CapturedTable[] = [];
  /** How far the snapshot is; null if there was none since the start. */
  snapshot: SnapshotProgress | null = null;
  copies: readonly CopyProgress[] = [];
  health: SourceHealth | null = null;
  /** While it is open. */
  connector: Connector | null = null;

  readonly observer: Pick<SourceObserver, 'onProgress' | 'onHealth' | 'onCopies'> = {
    onProgress: (progress) => (this.snapshot = progress),
    onHealth: (health) => (this.health = health),
    onCopies: (copies) => (this.copies = copies),
  };

  /**
   * Copies a table again while its changes go on, or controls such a copy. Resolves when that is
   * durable. Throws `SNAPSHOT_REFUSED`, `NOT_RUNNING`.
   */
  async copy(request: CopyRequest, signal: AbortSignal): Promise<void> {
    const { connector } = this;
    if (connector === null) throw new MillraceError('NOT_RUNNING', 'the source is not open');
    if (connector.copy === undefined) {
      throw new MillraceError(
        'SNAPSHOT_REFUSED',
        'this source cannot copy a table while it streams',
      );
    }
    await connector.copy(request, signal);
  }
}
