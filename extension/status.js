// The page that shows what the extension does: its popup, and its options.
"use strict";

import { topDocument } from "./tabs.js";

/** @typedef {import("./tabs.js").Counts} Counts */
/** @typedef {import("./worker.js").Told} Told */
/** @typedef {{gateway: string, ms: number, problem: string}} Examined */

/** What is known of each gateway, once it has answered this page. */
let examined = /** @type {Examined[] | undefined} */ (undefined);

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Shows a text in its element, or hides that where there is none.
 * @param {string} id
 * @param {string} text
 */
function show(id, text) {
  // A live region is read out for every change, so that nothing is changed to what it is.
  if (element(id).textContent !== text) element(id).textContent = text;
  element(id).hidden = text === "";
}

/** The tab that the page is about: the one asked for, the one it was opened from, or the one in front of the window. */
async function shownTab() {
  const asked = Number(new URLSearchParams(location.search).get("tab"));
  const own = await chrome.tabs.getCurrent(); // none for a popup
  const id = asked || own?.openerTabId;
  if (id) return chrome.tabs.get(id).catch(() => undefined);
  const [front] = await chrome.tabs.query({ active: true, currentWindow: true });
  return front?.id === own?.id ? undefined : front;
}

async function draw() {
  const kept = await chrome.storage.session.get(["told", "tabs", "working"]);
  const told = /** @type {Told | undefined} */ (kept.told);
  if (!told) return; // the worker has only begun
  const configuration = told.configuration;
  show("problem", told.problem);
  element("configured").hidden = element("tab").hidden = !configuration;
  if (!configuration) {
    show("state", told.problem ? "The extension does nothing." : "No gateway is configured: the extension does nothing.");
    return;
  }
  const silent = examined?.every(({ problem }) => problem);
  show("state", silent ? "No gateway answers: pages get the browser’s own names, as without this extension."
    : "Host candidates are encrypted by a gateway of your enterprise.");
  drawGateways(configuration.gateways, /** @type {{gateway: string} | undefined} */ (kept.working)?.gateway);
  show("sites", configuration.sites.map(siteWords).join(", ") +
    (configuration.excludedSites.length ? `; without ${configuration.excludedSites.map(siteWords).join(", ")}` : ""));
  show("budget", `A candidate waits ${configuration.budget} ms for a gateway at most.`);

  const tab = await shownTab();
  const all = new Map(/** @type {[number, Counts][] | undefined} */ (kept.tabs));
  const counts = tab?.id === undefined ? undefined : all.get(tab.id);
  element("tab").hidden = !tab;
  if (tab) show("site", tab.url && URL.canParse(tab.url) && new URL(tab.url).host || "This tab");
  const current = counts !== undefined && counts.document === await topDocument(Number(tab?.id));
  element("none").hidden = current;
  element("counts").hidden = !current;
  if (current) drawCounts(counts, configuration.budget);
}

/** @param {Counts} counts @param {number} budget */
function drawCounts(counts, budget) {
  for (const key of /** @type {const} */ (["encrypted", "kept", "late", "dropped"])) {
    show(key, String(counts[key]));
    element(key).classList.toggle("zero", counts[key] === 0);
  }
  const times = counts.slowest > 0 ? `The last took ${counts.last} ms, the slowest ${counts.slowest} ms.` : "";
  show("times", (counts.gateway && `By ${counts.gateway}. `) + times);
  const late = `no gateway answered within ${budget} ms. If that goes on, a longer budget in the policy helps.`;
  const problem = counts.problem || (counts.late > 0 ? late : "");
  show("trouble", problem && `The last problem: ${problem}`);
}

/**
 * @param {string[]} gateways
 * @param {string | undefined} working
 */
function drawGateways(gateways, working) {
  element("gateways").replaceChildren(...gateways.map((gateway) => {
    const found = examined?.find((one) => one.gateway === gateway);
    const item = document.createElement("li");
    const name = document.createElement("b");
    name.textContent = gateway;
    const state = document.createElement("span");
    state.className = !found ? "quiet" : found.problem ? "bad" : "good";
    state.textContent = !found ? "Asking…" : found.problem || `Answers in ${found.ms} ms.`;
    if (gateway === working) state.textContent += " In use.";
    item.append(name, state);
    return item;
  }));
}

/** @param {string} pattern */
function siteWords(pattern) {
  return pattern === "*://*/*" ? "All http and https pages" : pattern;
}

show("version", chrome.runtime.getManifest().version);
draw();
chrome.storage.session.onChanged.addListener(draw);
chrome.runtime.sendMessage({ kind: "examine" }).then((answer) => {
  examined = answer;
  draw();
});
