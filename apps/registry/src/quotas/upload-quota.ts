import { quotaExceeded } from './quota.ts';

/** Bytes of files that a tenant holds, and that it may hold. */
export interface ArtifactBytes {
  readonly used: number;
  readonly allowed: number;
}

/** The uploads of a tenant that are in progress. */
interface Uploads {
  readonly before: Promise<ArtifactBytes>;
  /** Bytes of all uploads since `before` was read, but for those that failed. */
  received: number;
  inProgress: number;
}

/**
 * Counts the bytes of a tenant's uploads as they arrive, so that one that exceeds the quota is refused before its bytes are all on disk,
 * and several at once do not exceed it together. What has been used is read when the first of them starts.
 */
export class UploadQuota {
  readonly #read: (tenantId: string) => Promise<ArtifactBytes>;
  readonly #tenants = new Map<string, Uploads>();

  constructor(read: (tenantId: string) => Promise<ArtifactBytes>) {
    this.#read = read;
  }

  /** @throws quota.exceeded out of `count`, and what `upload` throws */
  async run(tenantId: string, upload: (count: (bytes: number) => void) => Promise<number>): Promise<number> {
    const uploads = this.#tenants.get(tenantId) ?? { before: this.#read(tenantId), received: 0, inProgress: 0 };
    this.#tenants.set(tenantId, uploads);
    uploads.inProgress++;
    let own = 0;
    try {
      const { used, allowed } = await uploads.before;
      return await upload((bytes) => {
        own += bytes;
        uploads.received += bytes;
        if (used + uploads.received <= allowed) return;
        // At once: until this upload has ended, others that still fit would be refused for its bytes.
        const needed = own;
        uploads.received -= own;
        own = 0;
        throw quotaExceeded('artifactBytes', { used: used + uploads.received, needed, allowed });
      });
    } catch (error) {
      uploads.received -= own;
      throw error;
    } finally {
      uploads.inProgress--;
      if (uploads.inProgress === 0) this.#tenants.delete(tenantId);
    }
  }
}
