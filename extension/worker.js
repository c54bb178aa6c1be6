// The background of the extension: what the content scripts ask, and when the configuration is read.
"use strict";

import { configurationOf, register } from "./configuration.js";
import { areCandidates, ask, examine, words } from "./gateway.js";
import { begin, count, forget } from "./tabs.js";

/** @typedef {import("./configuration.js").Configuration} Configuration */
/** @typedef {{problem: string, configuration?: Configuration}} Told What the status page is told of the configuration. */

/** Bounds on the requests of one tab, which must not use up what the gateway grants to the whole browser. */
const mostInFlight = 128;
const mostAtOnce = 150;
const perSecond = 30;

/** @type {Map<number, {inFlight: number, left: number, at: number}>} By tab. */
const allowances = new Map();

/** The last reading of the policy, or the one under way. */
let configured = configure();
/**
 * Without it nothing is asked. Chromium takes seconds to read its policies when it starts: until then that of the session
 * before counts, whose content scripts are in the pages as well.
 */
let configuration = chrome.storage.local.get("configuration").then((kept) =>
  /** @type {Configuration | undefined} */ (kept.configuration ?? configured));
/** When a gateway was last asked anything. */
let asked = 0;

chrome.runtime.onInstalled.addListener(reconfigure);
chrome.runtime.onStartup.addListener(reconfigure);
chrome.storage.onChanged.addListener((_, area) => {
  if (area === "managed") reconfigure();
});
chrome.tabs.onRemoved.addListener((tab) => {
  allowances.delete(tab);
  forget(tab);
});

chrome.runtime.onMessage.addListener((message, sender, reply) => {
  const tab = sender.tab?.id;
  if (sender.id !== chrome.runtime.id || typeof message !== "object" || message === null) return;
  if (message.kind === "examine" && sender.origin === location.origin) {
    reconfigure().then((found) => Promise.all((found?.gateways ?? []).map(examine))).then(reply);
  } else if (tab === undefined) {
    return;
  } else if (message.kind === "encrypt") {
    encrypt(tab, sender.origin, message.candidates).then(reply);
  } else if (message.kind === "wake") {
    wake(tab, sender.origin).then(reply);
  } else if (message.kind === "count") {
    count(tab, message);
    return;
  } else {
    return;
  }
  return true; // the reply comes later
});

function reconfigure() {
  configured = configured.then(configure);
  return configured;
}

/**
 * Reads what the administrator configured and has the content scripts follow it. Anything wrong stops the extension:
 * nothing is half used.
 * @returns {Promise<Configuration | undefined>}
 */
async function configure() {
  /** @type {Told} */
  const told = { problem: "" };
  try {
    // Firefox rejects where there is no policy at all.
    const policy = await chrome.storage.managed.get().catch(() => ({}));
    const read = configurationOf(policy);
    if (read.gateways.length > 0) told.configuration = read;
  } catch (error) {
    told.problem = `The policy for this extension cannot be used: ${words(error)}`;
  }
  try {
    await register(told.configuration);
  } catch (error) {
    told.problem = `The browser does not let this extension into pages: ${words(error)}`;
    told.configuration = undefined;
  }
  configuration = Promise.resolve(told.configuration);
  chrome.storage.local.set({ configuration: told.configuration ?? null });
  chrome.storage.session.set({ told });
  return told.configuration;
}

/**
 * Begins a connection to the gateway, so that the first candidate need not wait for it.
 * @param {number} tab
 * @param {string | undefined} origin
 */
async function wake(tab, origin) {
  const known = await configuration;
  if (!known) return { problem: "no gateway is configured" };
  begin(tab);
  if (!isSite(origin)) return { budget: known.budget, problem: "this frame has no origin of its own" };
  if (Date.now() > asked + 5000) {
    asked = Date.now();
    ask(known, origin, []);
  }
  return { budget: known.budget };
}

/**
 * @param {number} tab
 * @param {string | undefined} origin
 * @param {unknown} candidates
 * @returns {Promise<import("./gateway.js").Answers>}
 */
async function encrypt(tab, origin, candidates) {
  const known = await configuration;
  if (!known) return { problem: "no gateway is configured" };
  if (!isSite(origin)) return { problem: "this frame has no origin of its own" };
  if (!areCandidates(candidates)) return { problem: "these are no candidates that a gateway can be asked for" };
  const allowance = allowanceOf(tab);
  if (!allowance) return { problem: "this tab asks for more candidates than one tab may" };
  asked = Date.now();
  allowance.inFlight++;
  const answers = await ask(known, origin, candidates);
  allowance.inFlight--;
  return answers;
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
 * Takes a request from what is left to the tab, or returns undefined where nothing is.
 * @param {number} tab
 */
function allowanceOf(tab) {
  const now = Date.now();
  const allowance = allowances.get(tab) ?? { inFlight: 0, left: mostAtOnce, at: now };
  allowances.set(tab, allowance);
  allowance.left = Math.min(mostAtOnce, allowance.left + (now - allowance.at) / 1000 * perSecond);
  allowance.at = now;
  if (allowance.left < 1 || allowance.inFlight >= mostInFlight) return undefined;
  allowance.left--;
  return allowance;
}
