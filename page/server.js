/** Questions to the server that serves the page, and to no other. */

/** What the server takes: seconds and bytes of a recording; empty until it has answered. */
export const limits = {};

const token = new URLSearchParams(location.search).get("token");

/** What the server, or this page, has against a request. */
export class Refused extends Error {
  /**
   * @param {string} code a key of the words that begin with "error."
   * @param {string} message the server's own sentence
   */
  constructor(code, message = code) {
    super(message);
    this.code = code;
  }

  /** What the words have in braces. */
  get values() {
    return { message: this.message, ...sizes() };
  }
}

/** The limits in words: whole minutes and megabytes. */
export function sizes() {
  return {
    minutes: Math.floor(limits.seconds / 60),
    megabytes: Math.floor(limits.bytes / 2 ** 20),
  };
}

/**
 * Send a request and wait for the answer.
 * @param {string} path as in "v1/predict"
 * @param {{method?: string, files?: Array<{name: string, blob: Blob}>, query?: Object, accept?: string}} options
 * @returns {Promise<Response>}
 * @throws {Refused}
 */
export async function ask(
  path,
  { method = "POST", files = [], query = {}, accept = "application/json" } = {},
) {
  const headers = { Accept: accept, ...(token && { Authorization: `Bearer ${token}` }) };
  const body = new FormData();
  files.forEach(({ name, blob }) => body.append("files", blob, name));
  const options = { method, headers, ...(files.length && { body }) };
  let response;
  try {
    response = await fetch(withQuery(path, query), options);
  } catch {
    throw new Refused("unreachable");
  }
  if (!response.ok) {
    const { error = {} } = await response.json().catch(() => ({}));
    throw new Refused(
      error.code ?? "status",
      error.message ?? `${response.status} ${response.statusText}`,
    );
  }
  return response;
}

/** The same, and the JSON of the answer. */
export async function askJson(path, options) {
  return (await ask(path, options)).json();
}

/** Open the stream that recognises while somebody speaks. */
export function listenTo(query) {
  const url = new URL(withQuery("v1/listen", { ...query, token }), location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return new WebSocket(url);
}

function withQuery(path, query) {
  const known = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return known.length ? `${path}?${new URLSearchParams(known)}` : path;
}
