/** Why Weir cannot start or go on, in one sentence for the person at the terminal. */
export class StartError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
  }
}

/** Says what the operating system refused in one sentence; other errors are passed on as they are. */
export function explainFileError(error: unknown, at: string): unknown {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new StartError(`The disk that holds ${at} is full: free some space and start again.`, { cause: error });
    case 'EACCES':
    case 'EPERM':
      return new StartError(`${at} cannot be written by this user: change its owner, or set WEIR_HOME to another folder.`, {
        cause: error,
      });
    case 'EROFS':
      return new StartError(`${at} is on a read-only file system: set WEIR_HOME to a folder that can be written.`, { cause: error });
    // What Node.js says of a folder with parents that it cannot make, such as on a read-only file system.
    case 'ENOENT':
      return new StartError(`${at} cannot be made there: set WEIR_HOME to a folder that can be written.`, { cause: error });
    case 'ENOTDIR':
    case 'EEXIST':
      return new StartError(`${at} is not a folder: set WEIR_HOME to one.`, { cause: error });
    default:
      return error;
  }
}
