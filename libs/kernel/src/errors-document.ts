import { ERROR_KINDS, ERRORS, type ErrorKind } from './errors.ts';

/** `docs/errors.md`: the error table for people. */
export function errorsDocument(): string {
  const kinds = Object.entries(ERROR_KINDS).map(
    ([kind, mapping]) =>
      `| \`${kind}\` | ${mapping.httpStatus} | \`${mapping.openaiType}\` | \`${mapping.grpcStatus}\` | ${mapping.isRetryable ? 'yes' : 'no'} |`,
  );
  const codes = Object.entries(ERRORS).map(
    ([code, { kind, message, remedy }]) => `| \`${code}\` | ${statusOf(kind)} | ${message} | ${remedy} |`,
  );
  return `# Errors

<!-- Generated from libs/kernel/src/errors.ts; a test fails when it is not current. WEIR_UPDATE_DOCS=1 npx vitest run --project unit libs/kernel writes it anew. -->

Every error has a code from this table; clients may branch on it, it does not change. The message may become more exact.

| surface | where the code stands | shape |
|---|---|---|
| GraphQL | \`errors[].extensions.code\`, with \`kind\`, \`requestId\` and, where they apply, \`field\` and \`retryAfterMs\` | HTTP 200 once the document was valid, 400 before (401 for a bad credential) |
| REST (\`/auth\`, services) | \`error.code\`, with \`message\`, \`field\`, \`requestId\` | HTTP status of the kind |
| Open Inference Protocol (\`/v2\`) | header \`x-weir-error-code\` | HTTP status of the kind, body \`{"error": "<message>"}\` |
| Open Inference Protocol over gRPC | trailer \`x-weir-error-code\` | status of the kind, with the message |

\`Retry-After\` (seconds) is sent where a wait makes sense. No error holds a stack trace, a path, a prompt or a secret; the request id (\`x-request-id\` of every answer) finds the details in the operator's log.

## Kinds

| kind | HTTP | OpenAI \`type\` | gRPC | the same call may succeed later |
|---|---|---|---|---|
${kinds.join('\n')}

## Codes

| code | HTTP | what it says | what to do |
|---|---|---|---|
${codes.join('\n')}
`;
}

function statusOf(kind: ErrorKind): number {
  return ERROR_KINDS[kind].httpStatus;
}
