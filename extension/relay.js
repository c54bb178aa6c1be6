// Beside the page and out of its reach: passes the questions of page.js to worker.js, and answers when the budget is over.
//
// What comes from page.js may be forged by the page. It is bounded here and checked by the worker, which knows from the
// browser whose page it is.
(() => {
  "use strict";
  const mostOpen = 128; // questions at once: there are applications that make 20 connections in advance
  const longestCandidate = 1024, longestPwd = 256; // in UTF-16 units
  const wakeEvery = 10_000; // milliseconds; a worker without work ends after 30 s
  let budget = 300; // milliseconds
  let open = 0;
  let woken = -wakeEvery;
  /** @type {Promise<void> | undefined} */
  let waking;
  /** @type {Node | undefined} */
  let page;

  /** @param {object} message @returns {Promise<any>} undefined where nobody answers, as when the extension was removed */
  async function send(message) {
    try {
      return await chrome.runtime.sendMessage(message);
    } catch {
      return undefined;
    }
  }

  function wake() {
    if (performance.now() - woken < wakeEvery) return;
    woken = performance.now();
    waking = send({ kind: "wake" }).then((answer) => {
      if (!(answer?.budget > 0)) return;
      budget = answer.budget;
      page?.dispatchEvent(new CustomEvent("budget", { detail: String(budget) }));
    });
  }

  /** @type {any} */
  let counts;
  /** @param {"encrypted" | "kept" | "dropped" | "late"} what @param {number} began @param {any} [reply] of the worker */
  function count(what, began, reply) {
    if (!counts) {
      counts = { kind: "count", encrypted: 0, kept: 0, dropped: 0, late: 0, ms: 0, gateway: "", problem: "" };
      setTimeout(() => { send(counts); counts = undefined; }, 200);
    }
    counts[what]++;
    counts.ms = Math.max(counts.ms, Math.round(performance.now() - began));
    counts.gateway = reply?.gateway ?? counts.gateway;
    counts.problem = reply?.problem ?? reply?.answers?.[0]?.kept ?? counts.problem;
  }

  /** @param {number} began @returns {Promise<any>} resolves at the end of the budget, which is not known before the worker has told it */
  async function late(began) {
    /** @param {number} end */
    const until = (end) => new Promise((resolve) => setTimeout(resolve, end - performance.now()));
    await Promise.race([waking, until(began + budget)]);
    await until(began + budget);
    return "late";
  }

  /** @param {string} id @param {string} candidate @param {string} pwd @param {number} began */
  async function ask(id, candidate, pwd, began) {
    open++;
    const reply = await Promise.race([send({ kind: "encrypt", candidates: [{ candidate, pwd }] }), late(began)]);
    open--;
    const answer = reply?.answers?.[0] ?? {};
    if (typeof answer.candidate === "string") tell(id, "encrypted", answer.candidate);
    else tell(id, "dropped" in answer ? "dropped" : "kept", "");
    count(reply === "late" ? "late" : "candidate" in answer ? "encrypted" : "dropped" in answer ? "dropped" : "kept", began, reply);
  }

  /** @param {string} id @param {string} verdict @param {string} candidate */
  function tell(id, verdict, candidate) {
    page?.dispatchEvent(new CustomEvent("answer", { detail: id + "\n" + verdict + "\n" + candidate }));
  }

  /** @param {Event} event with whom page.js speaks: a node that is in no document */
  function meet(event) {
    const node = /** @type {MouseEvent} */ (event).relatedTarget;
    if (page || !(node instanceof Node)) return;
    page = node;
    event.preventDefault(); // page.js need not look for this script any more
    page.addEventListener("ask", (asked) => {
      const [id, candidate, pwd, waited, ...more] = String(/** @type {CustomEvent} */ (asked).detail).split("\n");
      if (open >= mostOpen || !(+waited >= 0) || more.length > 0 || candidate.length > longestCandidate || pwd.length > longestPwd) return;
      asked.preventDefault(); // it is taken
      ask(id, candidate, pwd, performance.now() - +waited);
    });
    page.addEventListener("wake", (asked) => {
      asked.preventDefault();
      wake();
    });
    document.removeEventListener("candgw-page", meet);
  }
  document.addEventListener("candgw-page", meet);
  document.dispatchEvent(new Event("candgw-relay"));
})();
