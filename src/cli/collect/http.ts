// HTTP APIs, read only. What goes wrong becomes a sentence; a token goes into the header and nowhere else.
import { QueryError } from '../../cpu/errors.ts';

const MAX_BYTES = 256 * 1024 * 1024;
const LOOPBACK = /^(?:127\.[\d.]+|localhost|\[::1\])$/;

export interface Fetching {
  /** Milliseconds, for the whole answer. */
  readonly timeout: number;
  readonly authorization?: string | undefined;
}

/**
 * The JSON that a URL answers with, as text.
 * @throws QueryError for what is no JSON, no success, or comes too late.
 */
export async function fetchJson(
  url: URL,
  { timeout, authorization }: Fetching,
): Promise<{ text: string; value: unknown }> {
  const where = `${url.host}${url.pathname}`;
  if (authorization && url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
    throw new QueryError(
      `${url.host} would get the token in the clear, for all on the way to read; ask it over TLS`,
    );
  let text: string;
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', ...(authorization ? { authorization } : {}) },
      redirect: 'error',
      signal: AbortSignal.timeout(timeout),
    });
    text = await limited(response);
    if (!response.ok) throw new QueryError(`${where} answers ${statusText(response)}`);
  } catch (error) {
    if (error instanceof QueryError) throw error;
    throw new QueryError(`${where} ${reason(error, timeout)}`, { cause: error });
  }
  try {
    return { text, value: JSON.parse(text) };
  } catch {
    throw new QueryError(
      `${where} answers with no JSON (${JSON.stringify(text.trim().slice(0, 40))}); is this the right address?`,
    );
  }
}

async function limited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new QueryError(`answers with more than ${MAX_BYTES >> 20} MB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const HINTS: Readonly<Record<number, string>> = {
  401: 'it wants a token',
  403: 'the token may not read this',
  404: 'it has no such path; is this the right address?',
};

function statusText({ status, statusText: text }: Response): string {
  const said = `${status}${text ? ` (${text})` : ''}`;
  return HINTS[status] ? `${said}: ${HINTS[status]}` : said;
}

function reason(error: unknown, timeout: number): string {
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return `did not answer within ${timeout / 1000} seconds`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code, message } = cause as NodeJS.ErrnoException;
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'refuses the connection',
    ECONNRESET: 'cut the connection',
    UND_ERR_SOCKET: 'cut the connection',
    ENOTFOUND: 'is no host that is known',
    EAI_AGAIN: 'is no host that is known',
    ETIMEDOUT: 'does not answer',
    DEPTH_ZERO_SELF_SIGNED_CERT:
      'has a certificate that nobody vouches for; name its authority in NODE_EXTRA_CA_CERTS',
    SELF_SIGNED_CERT_IN_CHAIN:
      'has a certificate that nobody vouches for; name its authority in NODE_EXTRA_CA_CERTS',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      'has a certificate that nobody vouches for; name its authority in NODE_EXTRA_CA_CERTS',
  };
  return (
    words[code ?? ''] ??
    (/terminated|aborted/.test(message) ? 'cut the connection' : `cannot be read: ${message}`)
  );
}
