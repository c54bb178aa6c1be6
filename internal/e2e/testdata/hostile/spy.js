"use strict";
// A page that wants to know what it must not: it watches whatever passes through the language, before it makes anything
// pass. Saved natives are for itself.
const saved = {
  apply: Reflect.apply, define: Reflect.defineProperty, own: Reflect.getOwnPropertyDescriptor, keys: Reflect.ownKeys, stringify: JSON.stringify, add: EventTarget.prototype.addEventListener,
  dispatch: EventTarget.prototype.dispatchEvent, promise: Promise, timeout: setTimeout, CustomEvent, MouseEvent, Event, String, Set, push: Array.prototype.push, createElement: document.createElement,
};
const seen = new Set();     // all texts that passed
const seenAdd = Set.prototype.add;
const nodes = new Set(); // what may be ways to the isolated script
const forged = {answers: [], taken: 0, asked: 0, found: false};
let quiet = false;

// note keeps all texts within a value, to a depth.
function note(value, depth = 0) {
  if (quiet) {
    return;
  }
  quiet = true;
  try {
    if (typeof value === "string") {
      if (value.length > 3 && value.length < 1 << 20) {
        saved.apply(seenAdd, seen, [value]);
      }
    } else if (value && (typeof value === "object" || typeof value === "function") && depth < 3) {
      quiet = false;
      if (value instanceof Node && !value.isConnected) {
        saved.apply(seenAdd, nodes, [value]);
      }
      for (const key of saved.keys(value)) {
        const property = saved.own(value, key);
        if (property && "value" in property) {
          note(property.value, depth + 1);
        }
      }
      if (value instanceof saved.CustomEvent) {
        note(value.detail, depth + 1);
      }
      if (value instanceof saved.MouseEvent) {
        note(value.relatedTarget, depth + 1);
      }
    }
  } catch {
    // Not all can be looked into.
  } finally {
    quiet = false;
  }
}

// watch replaces a method by one that notes what it is given and gives. So page.js would tell it all, if it called any.
function watch(object, key) {
  const property = saved.own(object, key);
  if (!property || !property.configurable) {
    return;
  }
  for (const part of ["value", "get", "set"]) {
    const native = property[part];
    if (typeof native !== "function") {
      continue;
    }
    property[part] = new Proxy(native, {
      apply(of, self, parameters) {
        note(self);
        note(parameters);
        const result = saved.apply(of, self, parameters);
        note(result);
        return result;
      },
      construct(of, parameters, target) {
        note(parameters);
        const result = Reflect.construct(of, parameters, target);
        note(result);
        return result;
      },
    });
  }
  saved.define(object, key, property);
}

function spy(window) {
  for (const [name, keys] of Object.entries({
    Map: ["get", "set", "has", "delete", "keys", "size"], WeakMap: ["get", "set", "has"], Set: ["add", "has"], WeakRef: ["deref"], Array: ["push", "shift", "join", "map", "forEach", "slice", "splice", "concat"],
    Promise: ["then", "catch", "finally"], String: ["split", "indexOf", "slice", "startsWith", "replace", "match", "toLowerCase"], RegExp: ["exec", "test"],
    EventTarget: ["addEventListener", "removeEventListener", "dispatchEvent"], Event: ["stopImmediatePropagation", "preventDefault", "type", "target"], CustomEvent: ["detail", "initCustomEvent"],
    MouseEvent: ["relatedTarget"], MessagePort: ["postMessage"], RTCPeerConnection: ["createOffer", "setLocalDescription", "localDescription", "onicecandidate"], RTCSessionDescription: ["sdp", "toJSON"],
    RTCIceCandidate: ["candidate", "address", "usernameFragment", "toJSON"], RTCPeerConnectionIceEvent: ["candidate"], RTCStatsReport: ["get", "forEach", "entries"],
  })) {
    keys.forEach(key => window[name] && watch(window[name].prototype, key));
  }
  for (const [object, keys] of [[window.Function.prototype, ["apply", "bind"]], [window.Reflect, saved.keys(window.Reflect)], [window.JSON, ["parse", "stringify"]], [window.Object, ["assign", "freeze", "entries", "keys"]],
    [window.Document.prototype, ["createElement"]], [window, ["CustomEvent", "MouseEvent", "MessageChannel", "Proxy", "Promise", "postMessage", "setTimeout", "queueMicrotask"]]]) {
    keys.forEach(key => watch(object, key));
  }
  // What is looked up in an object that has it not is looked up here.
  for (const key of ["waiting", "state", "shown", "address", "pwd", "detail", "held", "items", "answer", "verdict", "handler", "listener", "relatedTarget", "bubbles", "configurable"]) {
    saved.define(window.Object.prototype, key, {configurable: true, get() { note(this); return undefined; }, set(value) { note(this); note(value); saved.define(this, key, {value, configurable: true, enumerable: true, writable: true}); }});
  }
}

// listenEverywhere hears all kinds of events that the channel might use, and learns kinds as they come.
function listenEverywhere(window) {
  const hear = event => {
    forged.found ||= Boolean(globalThis.stolen) && event.relatedTarget === globalThis.stolen;
    note(event);
  };
  for (const type of ["candgw-page", "candgw-relay", "ask", "answer", "wake", "message", "messageerror", "click", "mouseover", "mousemove", "DOMNodeInserted", "error", "unhandledrejection", "storage"]) {
    for (const target of [window, window.document, window.document.documentElement].filter(Boolean)) {
      saved.apply(saved.add, target, [type, hear, true]);
    }
  }
  // The isolated script says that it is there, and page.js introduces itself to whoever says so.
  for (const type of ["candgw-relay", "candgw-page"]) {
    for (const target of [window.document, window]) {
      saved.apply(saved.dispatch, target, [new window.Event(type)]);
    }
  }
  new window.MutationObserver(records => note(records)).observe(window.document, {childList: true, subtree: true, attributes: true, characterData: true});
}

// forgedText is a question as page.js asks, in which everything but the shape is the page's.
let observed = "";
function forgedText(id, candidate, pwd) {
  const parts = observed.split("\n");
  [parts[0], parts[1], parts[2]] = [id, candidate, pwd];
  return parts.join("\n");
}

// forge asks the isolated script, or pretends to be it, in every shape that was seen or can be guessed.
function forge(candidate, pwd) {
  forged.asked++;
  const id = saved.String(1e6 + forged.asked);
  const details = [forgedText(id, candidate, pwd), saved.stringify({kind: "encrypt", candidates: [{candidate, pwd}]}), {id, candidate, pwd, toString: () => forgedText(id, candidate, pwd)}, [candidate, pwd]];
  for (const target of [document, window, ...ways()]) {
    for (const detail of details) {
      for (const type of ["ask", "wake", "answer", "candgw-page"]) {
        const event = new saved.CustomEvent(type, {detail, cancelable: true});
        try {
          if (!saved.apply(saved.dispatch, target, [event]) && type === "ask") {
            forged.taken++;
          }
        } catch {
          // Nobody takes it.
        }
      }
    }
  }
  if (forged.asked % 20 === 0) {
    window.postMessage({kind: "encrypt", origin: "https://meet.example", candidates: [{candidate, pwd}]}, "*");
    window.postMessage(details[1], "*");
  }
}

// A node of the page's own, handed to the isolated script before or after page.js comes with its.
function pose(document) {
  const node = document.createElement("span");
  nodes.add(node);
  saved.apply(saved.dispatch, document, [new saved.MouseEvent("candgw-page", {relatedTarget: node})]);
}

// ways returns the nodes by which the page has a way to the isolated script, or may have, and has their answers kept. Where
// the test gives the page the very node that page.js uses, it is stolen.
function ways() {
  const found = [...nodes].filter(node => node !== globalThis.stolen).slice(-7);
  if (globalThis.stolen) {
    found.push(globalThis.stolen);
  }
  for (const node of found) {
    if (!node.heard) {
      node.heard = true;
      saved.apply(saved.add, node, ["answer", event => { forged.answers.length < 5000 && forged.answers.push(String(event.detail).slice(0, 3000)); note(event); }]);
      saved.apply(saved.add, node, ["ask", event => {
        if (!String(event.detail).includes("forged")) {
          observed = String(event.detail);
        }
        note(event);
      }]);
    }
  }
  return found;
}
