// The HTTP API as seen from the page. Every address is relative, so that it works under a prefix.

const SECONDS_IF_UNSAID = 1;
// Fewer texts than a request may have, so that progress is seen and a cancelled table ends soon.
const ROWS_AT_ONCE = 64;

/** What the service, or the way to it, has against a request; `message` is a sentence. */
export class Refusal extends Error {
  constructor(message, status = 0, seconds = SECONDS_IF_UNSAID) {
    super(message);
    this.status = status;
    this.seconds = seconds;
  }
}

let token = "";

/** Sends a token with every request from now on; it is kept in this variable alone. */
export function useToken(value) {
  token = value;
}

/** What the model is, its labels and thresholds, and the limits of a request. */
export function labels(signal) {
  return ask("labels", { signal });
}

/** Predictions for texts, and pairs where the model takes them; see `/docs`. */
export function predict(texts, pairs, { explain = false, signal } = {}) {
  const asked = { texts, explain, ...(pairs && { text_pairs: pairs }) };
  return ask("predict", { method: "POST", body: JSON.stringify(asked), signal });
}

/** Calls, and calls again after the time that the service names for as long as it is busy. */
export async function patiently(call, signal, tellOfWait) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 503) throw error;
      tellOfWait(error);
      await pause(error.seconds, signal);
    }
  }
}

/** Rows `{text, pair}` in groups that one request may hold. */
export function* requests(rows, limits) {
  const most = Math.min(limits.texts, ROWS_AT_ONCE);
  let group = [];
  let bytes = 0;
  for (const row of rows) {
    const more = requestBytes(row);
    if (group.length === most || (group.length && bytes + more > limits.body_bytes)) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(row);
    bytes += more;
  }
  if (group.length) yield group;
}

/** What a row `{text, pair}` takes of the body of a request, with what stands around it. */
export function requestBytes({ text, pair }) {
  const words = [text, pair ?? ""].map((part) => JSON.stringify(part)).join();
  return new TextEncoder().encode(words).length + 64;
}

async function ask(path, { method, body, signal }) {
  if (token && !/^[\x21-\x7e]+$/.test(token))
    throw new Refusal("A token has Latin letters, digits and signs alone. Enter it again.", 401);
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let response, answer;
  try {
    response = await fetch(path, { method, body, headers, signal, cache: "no-store" });
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!response)
      throw new Refusal("The service cannot be reached. See whether it runs, and try again.");
  }
  if (response.ok && answer) return answer;
  const detail = typeof answer?.detail === "string" ? answer.detail : "";
  throw new Refusal(
    detail || `The answer, with status ${response.status}, is not one of this service. Try again.`,
    response.status,
    Number(response.headers.get("Retry-After")) || SECONDS_IF_UNSAID,
  );
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
