// What the administrator configured, and where the content scripts run for it.
"use strict";

/** @typedef {{gateways: string[], sites: string[], excludedSites: string[], budget: number}} Configuration */

const mostGateways = 8;

/**
 * The configuration that a policy asks for. Throws an Error that says what is wrong with the policy.
 * @param {Record<string, unknown>} policy
 * @returns {Configuration}
 */
export function configurationOf(policy) {
  const gateways = strings(policy, "gateways", []).map(gatewayOrigin);
  if (gateways.length > mostGateways) throw new Error(`gateways has ${gateways.length} URLs; the most is ${mostGateways}.`);
  const sites = strings(policy, "sites", ["*://*/*"]);
  if (sites.length === 0) throw new Error("sites is empty. Leave it out for all http and https pages.");
  const excludedSites = strings(policy, "excludedSites", []);
  for (const pattern of [...sites, ...excludedSites]) {
    // Content scripts follow pages into their about:blank frames only if a pattern leaves the path open, and Firefox knows
    // no ports in patterns.
    if (!/^(\*|https?):\/\/(\*|(\*\.)?[\w-]+(\.[\w-]+)*)\/\*$/.test(pattern)) {
      throw new Error(`${JSON.stringify(pattern)} is no pattern of sites. Write a scheme, a host and the path /*, as in https://*.example.com/*, and no port.`);
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
  if (!/^https:\/\/([\w-]+(\.[\w-]+)*|\[[\da-f:.]+\])(:[1-9]\d*)?\/?$/.test(text) || !URL.canParse(text)) {
    throw new Error(`${JSON.stringify(text)} is no address of a gateway. Write https, a host and a port, as in https://candgw.example.com:8443, and no path.`);
  }
  return new URL(text).origin;
}

/**
 * Has the content scripts run where the configuration says, and nowhere without one.
 * @param {Configuration | undefined} wanted
 */
export async function register(wanted) {
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
  // Pages that load while scripts are replaced go without: only what changed is.
  const same = wanted && present.length === scripts.length && present.every((script) =>
    String(script.matches) === String(wanted.sites) && String(script.excludeMatches ?? "") === String(wanted.excludedSites));
  if (same) return;
  if (present.length > 0) await chrome.scripting.unregisterContentScripts();
  if (wanted) await chrome.scripting.registerContentScripts(scripts);
}
