// What became of the candidates of each tab, for the status page.
"use strict";

import { words } from "./gateway.js";

/**
 * What became of a tab's candidates since its top document began, and milliseconds.
 * @typedef {{document: string, encrypted: number, kept: number, dropped: number, late: number,
 *   last: number, slowest: number, gateway: string, problem: string}} Counts
 */

const mostTabs = 64;

/** By tab; the one that has been without new candidates for longest comes first. */
let tabs = /** @type {Map<number, Counts>} */ (new Map());
const recalled = chrome.storage.session.get("tabs").then((kept) => {
  tabs = new Map(/** @type {[number, Counts][] | undefined} */ (kept.tabs));
});
/** By tab, its counts as this worker found them. */
const found = /** @type {Map<number, Promise<Counts>>} */ (new Map());

/**
 * A document of the tab begins to connect: if it came with a new top document, counting starts again.
 * @param {number} tab
 */
export function begin(tab) {
  const counts = recalled.then(() => topDocument(tab)).then((document) => {
    const before = tabs.get(tab);
    const now = before?.document === document ? before
      : { document, encrypted: 0, kept: 0, dropped: 0, late: 0, last: 0, slowest: 0, gateway: "", problem: "" };
    tabs.delete(tab);
    tabs.set(tab, now);
    if (tabs.size > mostTabs) forget(/** @type {number} */ (tabs.keys().next().value));
    keep();
    return now;
  });
  found.set(tab, counts);
  return counts;
}

/**
 * Adds what a content script counted.
 * @param {number} tab
 * @param {Record<string, unknown>} message
 */
export async function count(tab, message) {
  const counts = await (found.get(tab) ?? begin(tab));
  for (const key of /** @type {const} */ (["encrypted", "kept", "dropped", "late"])) counts[key] += number(message[key]);
  const ms = number(message.ms);
  if (ms > 0) {
    counts.last = ms;
    counts.slowest = Math.max(counts.slowest, ms);
  }
  if (message.gateway) counts.gateway = words(message.gateway);
  if (message.problem) counts.problem = words(message.problem);
  keep();
}

/** @param {number} tab */
export function forget(tab) {
  found.delete(tab);
  recalled.then(() => tabs.delete(tab) && keep());
}

/**
 * What tells the document that a tab shows from the one before: when it began. The extension's own world in it is
 * asked, so that no page can tell it otherwise, and no permission to follow navigation is needed.
 * @param {number} tab
 */
export async function topDocument(tab) {
  try {
    const [{ result }] = await chrome.scripting.executeScript({
      target: { tabId: tab }, injectImmediately: true, func: () => performance.timeOrigin });
    return String(result);
  } catch {
    return ""; // a page in which no extension may run
  }
}

/** Keeps for the workers after this one, and for the status page, what would end with this one. */
function keep() {
  keeping ??= setTimeout(() => {
    keeping = undefined;
    chrome.storage.session.set({ tabs: [...tabs] });
  }, 50);
}
let keeping = /** @type {number | undefined} */ (undefined);

/** @param {unknown} value */
function number(value) {
  return typeof value === "number" && value > 0 && value < 1e6 ? Math.round(value) : 0;
}
