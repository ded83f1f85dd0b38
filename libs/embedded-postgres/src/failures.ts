/** Turns what the operating system, initdb or PostgreSQL said into one sentence that says what to do. */
export function explain(failure: unknown, dataDirectory: string, port?: number): Error {
  const text = failure instanceof Error ? failure.message : String(failure);
  const sentence = sentenceFor(text, dataDirectory, port);
  return sentence === null ? (failure instanceof Error ? failure : new Error(text)) : new Error(sentence, { cause: failure });
}

function sentenceFor(text: string, dataDirectory: string, port: number | undefined): string | null {
  if (/No space left on device|ENOSPC|Disk quota exceeded|EDQUOT/.test(text))
    return `The disk that holds ${dataDirectory} is full: free some space and start again.`;
  if (/Read-only file system|EROFS/.test(text))
    return `${dataDirectory} is on a read-only file system: set WEIR_HOME to a folder that can be written.`;
  if (/Address already in use|EADDRINUSE/.test(text))
    return `Port ${port} on 127.0.0.1, wanted for PostgreSQL, is in use by another program.`;
  if (/files are incompatible with server/.test(text))
    return `The data in ${dataDirectory} were written by another version of PostgreSQL: start the Weir that wrote them, or begin anew with npm start -- --fresh.`;
  if (/Permission denied|EACCES|EPERM|Operation not permitted|has wrong ownership/.test(text))
    return `${dataDirectory} cannot be written by this user: change its owner, or set WEIR_HOME to another folder.`;
  if (/could not (?:create|resize) shared memory|Cannot allocate memory|ENOMEM/.test(text))
    return 'There is not enough memory to start PostgreSQL.';
  return null;
}
