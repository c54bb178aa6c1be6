// The gateways of the enterprise, and what they are asked.
"use strict";

/** @typedef {import("./configuration.js").Configuration} Configuration */
/** @typedef {{candidate: string, pwd: string}} Candidate */
/** @typedef {{candidate: string} | {kept: string} | {dropped: string}} Answer */
/** @typedef {{gateway: string, answers: Answer[]} | {problem: string}} Answers */

const mostCandidates = 32; // in a request
const mostLength = 1024; // characters of a candidate
const mostAnswered = 2 * mostLength; // characters of one that is encrypted
const mostPassword = 256; // characters: RFC 8839, section 5.4
const mostReply = 131072; // characters
const mostWords = 300; // characters of what is wrong

/** How long a gateway that works is asked before those that the administrator prefers, in milliseconds. */
const loyalty = 600_000;

/** The gateway that answered last, which the next worker has to know as well. */
let working = { gateway: "", until: 0 };
const recalled = chrome.storage.session.get("working").then((kept) => {
  working = /** @type {typeof working | undefined} */ (kept.working) ?? working;
});

/**
 * Whether these are candidates that a gateway can be asked for.
 * @param {unknown} candidates
 * @returns {candidates is Candidate[]}
 */
export function areCandidates(candidates) {
  return Array.isArray(candidates) && candidates.length > 0 && candidates.length <= mostCandidates &&
    candidates.every((item) => isCandidate(item?.candidate, mostLength) && typeof item.pwd === "string" && item.pwd.length <= mostPassword);
}

/**
 * @param {unknown} text
 * @param {number} most
 * @returns {text is string}
 */
function isCandidate(text, most) {
  return typeof text === "string" && text.startsWith("candidate:") && text.length <= most;
}

/**
 * Asks the gateways in their order, within the budget: the next one as soon as one fails, or has let its share of
 * the budget pass.
 * @param {Configuration} configuration
 * @param {string} origin of the page
 * @param {Candidate[]} candidates none is asked only to have the connection
 * @returns {Promise<Answers>}
 */
export async function ask({ gateways, budget }, origin, candidates) {
  const began = performance.now();
  await recalled;
  const preferred = gateways.includes(working.gateway) && Date.now() < working.until;
  const order = preferred ? [...new Set([working.gateway, ...gateways])] : gateways;
  const asked = candidates.map(({ candidate, pwd }) => ({ candidate, pwd }));
  const over = new AbortController();
  return new Promise((resolve) => {
    let begun = 0;
    let failed = 0;
    let share = 0;
    let problem = `no gateway answered within ${budget} ms`;
    /** @param {Answers} answers */
    const end = (answers) => {
      clearTimeout(share);
      clearTimeout(last);
      over.abort();
      resolve(answers);
    };
    const last = setTimeout(() => end({ problem }), budget);
    const next = () => {
      clearTimeout(share);
      if (begun === order.length) return;
      const gateway = order[begun++];
      share = setTimeout(next, budget / order.length);
      // What is not resolved some time before the end is kept, rather than all be lost.
      const wait = Math.ceil((began + budget - performance.now()) * 0.8);
      post(gateway, { origin, candidates: asked, wait }, over.signal).then((answers) => {
        if (gateway !== order[0] || !preferred) remember(gateway);
        end({ gateway, answers });
      }, (error) => {
        if (over.signal.aborted) return;
        problem = words(error);
        failed++;
        if (failed === order.length) end({ problem });
        else next();
      });
    };
    next();
  });
}

/** @param {string} gateway */
function remember(gateway) {
  working = { gateway, until: Date.now() + loyalty };
  chrome.storage.session.set({ working });
}

/**
 * Sees whether a gateway answers this browser at all: in what time, or what is wrong.
 * @param {string} gateway
 */
export async function examine(gateway) {
  const began = performance.now();
  try {
    await post(gateway, { origin: gateway, candidates: [], wait: 1 }, AbortSignal.timeout(3000));
    return { gateway, ms: Math.round(performance.now() - began), problem: "" };
  } catch (error) {
    return { gateway, ms: 0, problem: words(error) };
  }
}

/** What this extension is called in requests: by Firefox otherwise in each profile. */
const origins = location.origin.replace(/^moz-extension:.*/, "moz-extension://*");

/**
 * Makes the only request that the extension ever makes.
 * @param {string} gateway
 * @param {{origin: string, candidates: Candidate[], wait: number}} body
 * @param {AbortSignal} signal
 * @returns {Promise<Answer[]>}
 */
async function post(gateway, body, signal) {
  /** @type {RequestInit} */
  const request = {
    method: "POST", body: JSON.stringify(body), signal, headers: { "Content-Type": "application/json" },
    credentials: "omit", referrerPolicy: "no-referrer", redirect: "error", cache: "no-store",
  };
  const response = await fetch(`${gateway}/v1/encrypt`, request).catch(() => {
    throw new Error(`${gateway} cannot be reached. Does it run, and does this browser trust its certificate?`);
  });
  const { status } = response;
  if (status === 403) throw new Error(`${gateway} refuses this browser. Write ${origins} to extensions in its block browsers.`);
  if (status === 422) throw new Error(`${gateway} is on no link of this computer. Another gateway has to be.`);
  if (status === 429) throw new Error(`${gateway} is asked more often than rate in its block browsers allows.`);
  if (status === 503) throw new Error(`${gateway} has no active key, or too much to do. Its log says which.`);
  if (status >= 500) throw new Error(`${gateway} failed with status ${status}. Its log says why.`);
  if (status !== 200) throw new Error(`${gateway} answers with status ${status}. Is it what candgw listens on in its block browsers?`);
  try {
    const text = await response.text();
    const answers = text.length > mostReply ? [] : JSON.parse(text).candidates.map(answerOf);
    if (answers.length === body.candidates.length) return answers;
  } catch {
    // No answer of a candgw.
  }
  throw new Error(`${gateway} answers with something else than candidates. Is it what candgw listens on in its block browsers?`);
}

/**
 * @param {Record<string, unknown>} answer
 * @returns {Answer}
 */
function answerOf({ candidate, kept, dropped }) {
  if (isCandidate(candidate, mostAnswered)) return { candidate };
  if (typeof kept === "string") return { kept: words(kept) };
  if (typeof dropped === "string") return { dropped: words(dropped) };
  throw new Error("no answer");
}

/**
 * What an error says, or a text, at a length that can be shown.
 * @param {unknown} error
 */
export function words(error) {
  return (error instanceof Error ? error.message : String(error)).slice(0, mostWords);
}
