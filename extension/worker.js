// The background of the extension: what the administrator configured, where the content scripts run, and the gateway.
"use strict";

/** @typedef {{gateways: string[], sites: string[], excludedSites: string[], budget: number}} Configuration */
/** @typedef {{candidate: string, pwd: string}} Candidate */
/** @typedef {{candidate: string} | {kept: string} | {dropped: string}} Answer */
/**
 * What became of a tab's candidates since its top document began.
 * @typedef {{document: string, encrypted: number, kept: number, dropped: number, late: number,
 *   last: number, slowest: number, gateway: string, problem: string}} Counts
 */
/** @typedef {{problem: string, configuration?: Configuration}} Told What the status page is told of the configuration. */

/** Bounds on what one page can make the extension do. */
const most = {
  gateways: 8,
  candidates: 32, // in a message
  candidate: 2048, // characters
  password: 256, // characters: RFC 8839, section 5.4
  reply: 131072, // characters
  inFlight: 64, // requests of a tab
  burst: 100, // requests of a tab at once, and then
  rate: 20, // a second
  tabs: 64, // whose counts are kept
  words: 300, // characters of a problem
};

/** How long a gateway that works is asked before those that the administrator prefers, in milliseconds. */
const loyalty = 600_000;

/** @type {Configuration | undefined} */
let configuration;
/** @type {{gateway: string, until: number}} */
let working = { gateway: "", until: 0 };
/** @type {Map<number, Counts>} By tab, the one that was longest without WebRTC first. */
let tabs = new Map();
/** @type {Map<number, Promise<Counts>>} By tab, as found since this worker began. */
const found = new Map();
/** @type {Map<number, {inFlight: number, tokens: number, at: number}>} By tab. */
const allowances = new Map();
let warmed = 0;

/** Resolves once the last change of the configuration is known, and what earlier workers left. */
let ready = recall().then(configure);
/** Work on the registrations, one change after the other. */
let registered = Promise.resolve();

chrome.runtime.onInstalled.addListener(reconfigure);
chrome.runtime.onStartup.addListener(reconfigure);
chrome.storage.onChanged.addListener((_, area) => {
  if (area === "managed") reconfigure();
});
chrome.tabs.onRemoved.addListener((tab) => {
  allowances.delete(tab);
  found.delete(tab);
  ready.then(() => tabs.delete(tab) && keep());
});

chrome.runtime.onMessage.addListener((message, sender, reply) => {
  const tab = sender.tab?.id;
  if (sender.id !== chrome.runtime.id || typeof message !== "object" || message === null) return;
  if (message.kind === "examine" && sender.origin === location.origin) {
    examine().then(reply);
  } else if (tab === undefined) {
    return;
  } else if (message.kind === "encrypt") {
    ready.then(() => encrypt(tab, sender.origin, message.candidates)).then(reply);
  } else if (message.kind === "wake") {
    ready.then(() => wake(tab, sender.origin)).then(reply);
  } else if (message.kind === "count") {
    ready.then(() => count(tab, message));
    return;
  } else {
    return;
  }
  return true; // the reply comes later
});

// The configuration.

function reconfigure() {
  ready = ready.then(configure);
}

/** Reads what the administrator configured. Anything wrong in it stops the extension: nothing is half used. */
async function configure() {
  /** @type {Told} */
  let told = { problem: "" };
  configuration = undefined;
  try {
    // Firefox rejects where there is no policy at all.
    const policy = await chrome.storage.managed.get().catch(() => ({}));
    const read = validated(policy);
    if (read.gateways.length > 0) configuration = told.configuration = read;
  } catch (error) {
    told.problem = `The policy of this extension cannot be used: ${words(error)}`;
  }
  if (!configuration?.gateways.includes(working.gateway)) working = { gateway: "", until: 0 };
  registered = registered.then(() => register(told.configuration)).catch((error) => {
    told = { problem: `The browser does not let this extension into pages: ${words(error)}` };
    configuration = undefined;
  }).then(() => chrome.storage.session.set({ told }));
}

/**
 * The configuration that a policy asks for. Throws an Error that says what is wrong with the policy.
 * @param {Record<string, unknown>} policy
 * @returns {Configuration}
 */
function validated(policy) {
  const gateways = strings(policy, "gateways", []).map(gatewayOrigin);
  if (gateways.length > most.gateways) throw new Error(`gateways has ${gateways.length} URLs; the most is ${most.gateways}.`);
  const sites = strings(policy, "sites", ["*://*/*"]);
  if (sites.length === 0) throw new Error("sites is empty. Leave it out for all http and https pages.");
  const excludedSites = strings(policy, "excludedSites", []);
  for (const pattern of [...sites, ...excludedSites]) {
    // A content script can follow pages into their about:blank frames only if a pattern leaves the path open, and Firefox
    // knows no ports in patterns.
    if (!/^(\*|https?):\/\/(\*|(\*\.)?[^*/:@\s]+)\/\*$/.test(pattern)) {
      throw new Error(`${pattern} is no pattern of sites. Write it as https://*.example.com/*, without a port.`);
    }
  }
  const budget = policy.budget ?? 300;
  if (typeof budget !== "number" || !Number.isInteger(budget) || budget < 50 || budget > 5000) {
    throw new Error("budget must be milliseconds from 50 to 5000.");
  }
  return { gateways: [...new Set(gateways)], sites, excludedSites, budget };
}

/**
 * @param {Record<string, unknown>} policy
 * @param {string} key
 * @param {string[]} otherwise
 * @returns {string[]}
 */
function strings(policy, key, otherwise) {
  const value = policy[key];
  if (value === undefined) return otherwise;
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
    throw new Error(`${key} must be a list of strings.`);
  }
  return value;
}

/** @param {string} text */
function gatewayOrigin(text) {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // The only thing that an origin may lack is the slash that a URL has.
  if (url?.protocol !== "https:" || (url.href !== `${url.origin}/`)) {
    throw new Error(`${text} is no address of a gateway. Write it as https://candgw.example.com:8443, without a path.`);
  }
  return url.origin;
}

/**
 * Has the content scripts run where the configuration says, and nowhere without one.
 * @param {Configuration | undefined} wanted
 */
async function register(wanted) {
  const common = {
    matches: wanted?.sites,
    excludeMatches: wanted?.excludedSites,
    allFrames: true,
    matchOriginAsFallback: true, // about:blank, srcdoc, blob: and data: frames of those pages
    persistAcrossSessions: true, // there before the first page of the next session
    runAt: /** @type {const} */ ("document_start"),
  };
  const scripts = [
    { ...common, id: "relay", js: ["relay.js"], world: /** @type {const} */ ("ISOLATED") },
    { ...common, id: "page", js: ["page.js"], world: /** @type {const} */ ("MAIN") },
  ];
  const present = await chrome.scripting.getRegisteredContentScripts();
  const same = wanted && present.length === scripts.length && present.every((script) =>
    String(script.matches) === String(wanted.sites) && String(script.excludeMatches ?? "") === String(wanted.excludedSites));
  if (same) return;
  if (present.length > 0) await chrome.scripting.unregisterContentScripts();
  if (wanted) await chrome.scripting.registerContentScripts(scripts);
}

// What the content scripts ask.

/**
 * Begins a connection to the gateway, so that the first candidate need not wait for it.
 * @param {number} tab
 * @param {string | undefined} origin
 */
async function wake(tab, origin) {
  if (!configuration) return { problem: "no gateway is configured" };
  found.set(tab, counts(tab));
  if (!isSite(origin)) return { budget: configuration.budget, problem: "this frame has no origin of its own" };
  if (Date.now() > warmed + 5000) {
    warmed = Date.now();
    ask(configuration, origin, []);
  }
  return { budget: configuration.budget };
}

/**
 * @param {number} tab
 * @param {string | undefined} origin
 * @param {unknown} candidates
 * @returns {Promise<{gateway: string, answers: Answer[]} | {problem: string}>}
 */
async function encrypt(tab, origin, candidates) {
  if (!configuration) return { problem: "no gateway is configured" };
  if (!isSite(origin)) return { problem: "this frame has no origin of its own" };
  if (!areCandidates(candidates)) return { problem: "these are no candidates that can be asked for" };
  const allowance = allowed(tab);
  if (!allowance) return { problem: "this tab asks for too many candidates" };
  warmed = Date.now();
  const answer = await ask(configuration, origin, candidates.map(({ candidate, pwd }) => ({ candidate, pwd })));
  allowance.inFlight--;
  return answer;
}

/**
 * Whether a frame belongs to a site: opaque origins are "null".
 * @param {string | undefined} origin
 * @returns {origin is string}
 */
function isSite(origin) {
  return origin !== undefined && /^https?:\/\//.test(origin);
}

/**
 * @param {unknown} candidates
 * @returns {candidates is Candidate[]}
 */
function areCandidates(candidates) {
  return Array.isArray(candidates) && candidates.length > 0 && candidates.length <= most.candidates &&
    candidates.every((item) => typeof item?.candidate === "string" && item.candidate.length <= most.candidate &&
      item.candidate.startsWith("candidate:") && typeof item.pwd === "string" && item.pwd.length <= most.password);
}

/**
 * Counts a request of the tab, or returns undefined where it has asked too often: one tab must not use up what the
 * gateway grants to the whole browser.
 * @param {number} tab
 */
function allowed(tab) {
  const now = Date.now();
  const allowance = allowances.get(tab) ?? { inFlight: 0, tokens: most.burst, at: now };
  allowances.set(tab, allowance);
  allowance.tokens = Math.min(most.burst, allowance.tokens + (now - allowance.at) / 1000 * most.rate);
  allowance.at = now;
  if (allowance.tokens < 1 || allowance.inFlight >= most.inFlight) return undefined;
  allowance.tokens--;
  allowance.inFlight++;
  return allowance;
}

// The gateway.

/**
 * Asks the gateways in their order, within the budget: the next one as soon as one fails, or has let its share of
 * the budget pass.
 * @param {Configuration} asked
 * @param {string} origin
 * @param {Candidate[]} candidates
 * @returns {Promise<{gateway: string, answers: Answer[]} | {problem: string}>}
 */
function ask({ gateways, budget }, origin, candidates) {
  const order = working.until > Date.now() ? [...new Set([working.gateway, ...gateways])] : gateways;
  const began = Date.now();
  const over = new AbortController();
  return new Promise((resolve) => {
    let begun = 0;
    let failed = 0;
    let share = 0;
    let problem = `no gateway answered within ${budget} ms`;
    /** @param {{gateway: string, answers: Answer[]} | {problem: string}} answer */
    const end = (answer) => {
      clearTimeout(share);
      clearTimeout(last);
      over.abort();
      resolve(answer);
    };
    const last = setTimeout(() => end({ problem }), budget);
    const next = () => {
      clearTimeout(share);
      if (begun === order.length) return;
      const gateway = order[begun++];
      share = setTimeout(next, budget / order.length);
      // What is not resolved some time before the end is kept, rather than all be lost.
      const wait = Math.ceil((began + budget - Date.now()) * 0.8);
      post(gateway, { origin, candidates, wait }, over.signal).then((answers) => {
        if (gateway !== working.gateway) remember(gateway);
        end({ gateway, answers });
      }, (error) => {
        if (over.signal.aborted) return;
        problem = words(error);
        failed++;
        if (error instanceof Refused || failed === order.length) end({ problem });
        else next();
      });
    };
    next();
  });
}

/** What another gateway would refuse as well. */
class Refused extends Error {}

/**
 * Asks one gateway. This is the only request that the extension ever makes.
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
    throw new Error(`${gateway} cannot be reached, or this browser does not trust its certificate`);
  });
  if (response.status === 403) {
    throw new Refused(`${gateway} refuses this browser: list ${location.origin} in extensions of its block browsers`);
  }
  if (response.status === 429) throw new Error(`${gateway} is asked more often than its rate allows`);
  if (response.status >= 500) throw new Error(`${gateway} failed with status ${response.status}`);
  if (!response.ok) throw new Refused(`${gateway} refuses the request with status ${response.status}: is it a candgw with a block browsers?`);
  const text = await response.text();
  try {
    if (text.length > most.reply) throw new Error();
    const answers = JSON.parse(text).candidates.map(answerOf);
    if (answers.length !== body.candidates.length) throw new Error();
    return answers;
  } catch {
    throw new Error(`${gateway} answers with something else than candidates: is it a candgw?`);
  }
}

/**
 * @param {Record<string, unknown>} answer
 * @returns {Answer}
 */
function answerOf({ candidate, kept, dropped }) {
  if (typeof candidate === "string" && candidate.startsWith("candidate:") && candidate.length <= most.candidate) return { candidate };
  if (typeof kept === "string") return { kept: words(kept) };
  if (typeof dropped === "string") return { dropped: words(dropped) };
  throw new Error();
}

/** @param {string} gateway */
function remember(gateway) {
  working = { gateway, until: Date.now() + loyalty };
  keep();
}

/** Asks every gateway, for the status page, and reads the configuration anew, as Firefox does not tell of changes. */
async function examine() {
  reconfigure();
  await ready;
  await registered;
  return Promise.all((configuration?.gateways ?? []).map(async (gateway) => {
    const began = performance.now();
    try {
      await post(gateway, { origin: gateway, candidates: [], wait: 1 }, AbortSignal.timeout(5000));
      return { gateway, ms: Math.round(performance.now() - began), problem: "" };
    } catch (error) {
      return { gateway, ms: 0, problem: words(error) };
    }
  }));
}

// What the status page shows.

/**
 * Adds up what a content script counted.
 * @param {number} tab
 * @param {Record<string, unknown>} message
 */
async function count(tab, message) {
  const finding = found.get(tab) ?? counts(tab);
  found.set(tab, finding);
  const of = await finding;
  for (const key of /** @type {const} */ (["encrypted", "kept", "dropped", "late"])) of[key] += number(message[key]);
  const ms = number(message.ms);
  if (ms > 0) {
    of.last = ms;
    of.slowest = Math.max(of.slowest, ms);
  }
  if (typeof message.gateway === "string" && configuration?.gateways.includes(message.gateway)) of.gateway = message.gateway;
  if (typeof message.problem === "string" && message.problem) of.problem = words(message.problem);
  keep();
}

/**
 * The counts of what the tab shows now.
 * @param {number} tab
 * @returns {Promise<Counts>}
 */
async function counts(tab) {
  const document = await topDocument(tab);
  const before = tabs.get(tab);
  const of = before?.document === document ? before
    : { document, encrypted: 0, kept: 0, dropped: 0, late: 0, last: 0, slowest: 0, gateway: "", problem: "" };
  tabs.delete(tab);
  tabs.set(tab, of);
  if (tabs.size > most.tabs) tabs.delete(/** @type {number} */ (tabs.keys().next().value));
  keep();
  return of;
}

/**
 * What tells the document that a tab shows from the one before: when it began. Asked of the extension's own world in
 * it, so that no page can tell it otherwise, and no permission to follow navigation is needed.
 * @param {number} tab
 */
async function topDocument(tab) {
  try {
    const [{ result }] = await chrome.scripting.executeScript({
      target: { tabId: tab }, injectImmediately: true, func: () => performance.timeOrigin });
    return String(result);
  } catch {
    return ""; // a page in which no extension may run
  }
}

/** Keeps for the workers after this one, and for the status page, what must not end with it. */
function keep() {
  if (keeping) return;
  keeping = true;
  setTimeout(() => {
    keeping = false;
    chrome.storage.session.set({ tabs: [...tabs], working });
  }, 50);
}
let keeping = false;

async function recall() {
  const kept = await chrome.storage.session.get(["tabs", "working"]);
  tabs = new Map(/** @type {[number, Counts][]} */ (kept.tabs ?? []));
  working = /** @type {typeof working | undefined} */ (kept.working) ?? working;
}

/** @param {unknown} value */
function number(value) {
  return typeof value === "number" && value > 0 && value < 1e6 ? Math.round(value) : 0;
}

/** @param {unknown} problem */
function words(problem) {
  return (problem instanceof Error ? problem.message : String(problem)).slice(0, most.words);
}
