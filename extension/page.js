// In the page's own world, before any script of the page: what the page reads of its RTCPeerConnections has encrypted
// names in place of the browser's own, and what it hands in has the browser's again.
//
// Everything here is in reach of the page's scripts, which may replace any function of the language. So the functions used
// are those from before the page's first script, and whatever must not be forged is decided in worker.js.
(() => {
  "use strict";
  const global = /** @type {any} */ (globalThis);
  const Connection = global.RTCPeerConnection;
  if (!Connection) return; // switched off in this browser

  const { apply, construct, defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = /** @type {any} */ (Reflect);
  /**
   * Makes a method a function that takes its this first, and that finds the method in no prototype when it is called.
   * @param {Function} method
   * @returns {(self: any, ...args: any[]) => any}
   */
  const free = (method) => (self, ...args) => apply(method, self, args);
  const { Event, String, Map, WeakMap, WeakRef, Promise, Proxy, CustomEvent, MessageChannel, setTimeout } = global;
  const [indexOf, slice, startsWith, lower] = [free("".indexOf), free("".slice), free("".startsWith), free("".toLowerCase)];
  const exec = free(RegExp.prototype.exec);
  const shift = free([].shift);
  /** @param {any[]} list @param {any} value: without the setters that the page may give the prototype of arrays */
  const append = (list, value) => defineProperty(list, list.length, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
  const [get, set, remove, has, size] = [
    free(Map.prototype.get), free(Map.prototype.set), free(Map.prototype.delete), free(Map.prototype.has),
    free(/** @type {any} */ (getOwnPropertyDescriptor(Map.prototype, "size")).get),
  ];
  const [firstKeys, nextKey] = [free(Map.prototype.keys), free(getPrototypeOf(new Map().keys()).next)];
  const [weakGet, weakSet] = [free(WeakMap.prototype.get), free(WeakMap.prototype.set)];
  const then = free(Promise.prototype.then);
  const [listen, unlisten] = [free(EventTarget.prototype.addEventListener), free(EventTarget.prototype.removeEventListener)];
  const dispatch = free(EventTarget.prototype.dispatchEvent);
  const stop = free(Event.prototype.stopImmediatePropagation);
  const isTrusted = (/** @type {Event} */ event) => event.isTrusted; // an own property that no page can replace
  const detail = getter(CustomEvent, "detail");

  /**
   * @param {any} type a constructor, or undefined where the browser has none
   * @param {string} name
   * @returns {(self: any) => any} what reads a property of its instances
   */
  function getter(type, name) {
    const read = type && getOwnPropertyDescriptor(type.prototype, name)?.get;
    return read ? free(read) : () => undefined;
  }

  // Texts. Splitting by hand, because the methods for it look for others in prototypes.

  /** @param {string} text @param {string} end @returns {string[]} the pieces that end, but for the last, with end */
  function pieces(text, end) {
    /** @type {string[]} */
    const out = [];
    let at = 0;
    for (let next; (next = indexOf(text, end, at)) >= 0; at = next + 1) append(out, slice(text, at, next + 1));
    append(out, slice(text, at));
    return out;
  }
  /** @param {string[]} all */
  function joined(all) {
    let out = "";
    for (let i = 0; i < all.length; i++) out += all[i];
    return out;
  }

  /**
   * A candidate's fields by number, each with the space after it: RFC 8839, section 5.1.
   * @typedef {string[]} Fields
   */
  const [ADDRESS, TYPE, RELATED] = [4, 7, 9];
  /** @param {string} text from "candidate:" on @returns {Fields | undefined} */
  function fieldsOf(text) {
    const fields = pieces(text, " ");
    return fields.length > TYPE ? fields : undefined;
  }
  /** @param {Fields} fields @param {number} i */
  const field = (fields, i) => (i in fields ? /** @type {any} */ (exec(/^[^ \r\n]*/, fields[i]))[0] : "");
  /** @param {Fields} fields @param {number} i @param {string} value */
  const setField = (fields, i, value) => { fields[i] = value + slice(fields[i], field(fields, i).length); };
  /** @param {Fields} fields @returns {number} the place of the related address, 0 if there is none */
  const relatedAt = (fields) => (field(fields, RELATED - 1) === "raddr" ? RELATED : 0);
  /** @param {Fields} fields */
  function tells(fields) {
    return field(fields, TYPE) === "host" || (relatedAt(fields) > 0 && !exec(/^(0\.0\.0\.0|::)$/, field(fields, RELATED)));
  }

  // What is known of candidates.

  /**
   * One of the browser's own candidates, and what the page is to see in its place. It is in no description and no event until
   * that is known.
   * @typedef {{
   *   state: "asking" | "encrypted" | "kept" | "dropped",
   *   address: string, shown: string, related: string, relatedPort: string,
   *   waiting: Held[],
   * }} Candidate
   */
  const mostKnown = 4096;
  /** @type {Map<string, string>} the ice-pwd of each ufrag that the browser has made */
  const passwords = new Map();
  /** @type {Map<string, Candidate>} by ufrag and the fields up to the type */
  const candidates = new Map();
  /** @type {Map<string, string>} the address or the name of the browser's for each encrypted name */
  const own = new Map();
  /** @type {Map<string, string>} the latest encrypted name for each address or name of the browser's */
  const encrypted = new Map();

  /** @param {Map<string, any>} map @param {string} key @param {any} value */
  function remember(map, key, value) {
    if (size(map) >= mostKnown) remove(map, nextKey(firstKeys(map)).value);
    set(map, key, value);
  }

  /** @param {string} ufrag @param {Fields} fields */
  function keyOf(ufrag, fields) {
    let key = ufrag;
    for (let i = 0; i <= TYPE; i++) key += " " + lower(field(fields, i));
    return key;
  }

  /**
   * Returns what is known of a candidate, and asks if it is one of the browser's own that was not met before.
   * @param {string} ufrag
   * @param {Fields} fields
   * @returns {Candidate | undefined} undefined for all that the page may see as it is
   */
  function known(ufrag, fields) {
    const pwd = get(passwords, ufrag);
    if (pwd === undefined || !tells(fields)) return undefined;
    const key = keyOf(ufrag, fields);
    /** @type {Candidate} */
    let c = get(candidates, key);
    if (c || has(own, lower(field(fields, ADDRESS)))) return c;
    c = { state: "asking", address: field(fields, ADDRESS), shown: "", related: "", relatedPort: "", waiting: [] };
    remember(candidates, key, c);
    const text = exec(/^[^\r\n]*/, joined(fields))[0];
    ask(exec(/ ufrag /, text) ? text : text + " ufrag " + ufrag, pwd, (/** @type {string} */ verdict, /** @type {string} */ answer) => {
      settle(c, verdict, answer);
    });
    return c;
  }

  /**
   * @param {Candidate} c
   * @param {string} verdict
   * @param {string} answer the candidate as the gateway has it
   */
  function settle(c, verdict, answer) {
    if (c.state !== "asking") return;
    const fields = verdict === "encrypted" && fieldsOf(answer);
    c.state = fields ? "encrypted" : verdict === "dropped" ? "dropped" : "kept";
    if (fields) {
      c.shown = field(fields, ADDRESS);
      if (relatedAt(fields)) c.related = field(fields, RELATED), c.relatedPort = field(fields, RELATED + 2);
      if (c.shown !== c.address) {
        remember(own, lower(c.shown), c.address);
        remember(encrypted, lower(c.address), c.shown);
      }
    }
    const waiting = c.waiting;
    c.waiting = [];
    for (let i = 0; i < waiting.length; i++) release(waiting[i]);
  }

  // Texts as the page sees them, and as the browser does.

  /** @param {string} text a candidate @param {string} ufrag @returns {string} */
  function shown(text, ufrag) {
    const fields = fieldsOf(text);
    const c = fields && known(ufrag, fields);
    if (!fields || c?.state !== "encrypted") return text;
    setField(fields, ADDRESS, c.shown);
    if (c.related && relatedAt(fields)) {
      setField(fields, RELATED, c.related);
      setField(fields, RELATED + 2, c.relatedPort);
    }
    return joined(fields);
  }

  /** @param {string} text a candidate @returns {string} */
  function handedIn(text) {
    const fields = fieldsOf(text);
    const address = fields && get(own, lower(field(fields, ADDRESS)));
    if (!fields || address === undefined) return text;
    setField(fields, ADDRESS, address);
    return joined(fields);
  }

  const candidateLine = "a=candidate:";
  /**
   * Calls a function with each section of a description, the session's first.
   * @param {string} sdp
   * @param {(lines: string[], ufrag: string, pwd: string) => void} visit may change the lines
   * @returns {string} the description with the lines as they are then
   */
  function sections(sdp, visit) {
    const lines = pieces(sdp, "\n");
    let out = "", first = 0, sessionUfrag = "", sessionPwd = "";
    for (let i = 1; i <= lines.length; i++) {
      if (i < lines.length && !startsWith(lines[i], "m=")) continue;
      /** @type {string[]} */
      const section = [];
      let ufrag = sessionUfrag, pwd = sessionPwd;
      for (let j = first; j < i; j++) {
        append(section, lines[j]);
        ufrag = exec(/^a=ice-ufrag:([^\r\n]*)/, lines[j])?.[1] ?? ufrag;
        pwd = exec(/^a=ice-pwd:([^\r\n]*)/, lines[j])?.[1] ?? pwd;
      }
      if (first === 0) sessionUfrag = ufrag, sessionPwd = pwd;
      visit(section, ufrag, pwd);
      out += joined(section);
      first = i;
    }
    return out;
  }

  /** @param {string} sdp a description that the browser has made: its credentials are remembered */
  function learn(sdp) {
    if (typeof sdp !== "string") return;
    sections(sdp, (_, ufrag, pwd) => { if (ufrag && !has(passwords, ufrag)) remember(passwords, ufrag, pwd); });
  }

  /** @param {any} sdp a description @returns {any} as the page sees it */
  function shownDescription(sdp) {
    if (typeof sdp !== "string") return sdp;
    return sections(sdp, (lines, ufrag) => {
      if (!has(passwords, ufrag)) return;
      let partial = false;
      /** @type {any} */
      const hidden = new Map();
      for (let i = 0; i < lines.length; i++) {
        if (!startsWith(lines[i], candidateLine)) continue;
        const fields = fieldsOf(slice(lines[i], 2));
        const c = fields && known(ufrag, fields);
        if (!c || c.state === "kept") continue;
        set(hidden, c.address, true);
        partial ||= c.state === "asking";
        lines[i] = c.state === "encrypted" ? "a=" + shown(slice(lines[i], 2), ufrag) : "";
      }
      for (let i = 0; i < lines.length; i++) {
        if (partial && startsWith(lines[i], "a=end-of-candidates")) lines[i] = "";
        const line = exec(/^(c=|a=rtcp:\d+ )IN IP([46]) ([^\r\n]*)/, lines[i]);
        if (!line || !has(hidden, line[3])) continue;
        const connection = line[1] === "c=";
        lines[i] = (connection ? "c=" : "a=rtcp:9 ") + "IN IP" + line[2] + (line[2] === "4" ? " 0.0.0.0" : " ::") + slice(lines[i], line[0].length);
        const media = connection && exec(/^(m=[^ ]* )[1-9]\d*/, lines[0]);
        if (media) lines[0] = media[1] + "9" + slice(lines[0], media[0].length);
      }
    });
  }

  /** @param {any} sdp a description of the page's @returns {any} as the browser is to have it */
  function handedInDescription(sdp) {
    if (typeof sdp !== "string" || size(own) === 0) return sdp;
    return sections(sdp, (lines) => {
      for (let i = 0; i < lines.length; i++) {
        if (startsWith(lines[i], candidateLine)) lines[i] = "a=" + handedIn(slice(lines[i], 2));
      }
    });
  }

  // The way to relay.js: events on a node that is in no document, so that no listener of the page hears them.

  const node = document.createElement("span");
  /** @type {Map<string, (verdict: string, candidate: string) => void>} */
  const asked = new Map();
  const longest = 6000; // milliseconds: more than any budget, for a relay that ends with questions open
  let questions = 0;

  /** @param {string} kind @param {string} [text] @returns {boolean} whether somebody took it */
  const tell = (kind, text) => !dispatch(node, new CustomEvent(kind, { __proto__: null, cancelable: true, detail: text }));

  /** @param {string} candidate @param {string} pwd @param {(verdict: string, candidate: string) => void} answer */
  function ask(candidate, pwd, answer) {
    const id = String(++questions);
    set(asked, id, answer);
    setTimeout(() => answered(id, "kept", ""), longest);
    if (!tell("ask", id + "\n" + candidate + "\n" + pwd)) answered(id, "kept", "");
  }
  /** @param {string} id @param {string} verdict @param {string} candidate */
  function answered(id, verdict, candidate) {
    const answer = get(asked, id);
    remove(asked, id);
    answer?.(verdict, candidate);
  }
  listen(node, "answer", (/** @type {Event} */ event) => {
    const answer = exec(/^(\d+)\n(\w+)\n(.*)$/, detail(event));
    if (answer) answered(answer[1], answer[2], answer[3]);
  });
  // Whichever of the two scripts comes second finds the first.
  const introduce = () => dispatch(document, new MouseEvent("candgw-page", { relatedTarget: node }));
  listen(document, "candgw-relay", introduce, { once: true });
  introduce();

  // Events that are held back while a candidate before them is asked for, and then follow in order, one a task.

  /**
   * @typedef {{again: Event, target: any, candidate: Candidate | undefined, states: any}} Item
   * @typedef {{connection: any, items: Item[], states: any, transports: any[], releasing: boolean}} Held
   */
  const heldOf = new WeakMap(); // by connection
  const ours = new WeakMap(); // events
  const ownerOf = new WeakMap(); // connection of a transport
  /** @type {any[]} references to the latest connections, in which the owner of a transport is looked for */
  const connections = [];
  const mostOwners = 256;
  const [localDescription, connectionGathering, signalingState] = [
    getter(Connection, "localDescription"), getter(Connection, "iceGatheringState"), getter(Connection, "signalingState"),
  ];
  const transportGathering = getter(global.RTCIceTransport, "gatheringState");
  const descriptionText = getter(global.RTCSessionDescription, "sdp");
  const IceEvent = global.RTCPeerConnectionIceEvent;
  const [eventCandidate, eventType] = [getter(IceEvent, "candidate"), getter(Event, "type")];
  const [candidateText, candidateUfrag] = [getter(global.RTCIceCandidate, "candidate"), getter(global.RTCIceCandidate, "usernameFragment")];

  /** @param {any} candidate an RTCIceCandidate @returns {Candidate | undefined} */
  function knownObject(candidate) {
    const fields = fieldsOf(candidateText(candidate) ?? "");
    return fields && known(candidateUfrag(candidate) ?? "", fields);
  }

  /** @param {Held} held @returns {Map<any, string>} the states of gathering that the browser tells now */
  function statesNow(held) {
    const states = new Map();
    set(states, held.connection, connectionGathering(held.connection));
    for (let i = 0; i < held.transports.length; i++) set(states, held.transports[i], transportGathering(held.transports[i]));
    return states;
  }

  /** @param {Held} held @param {any} target @returns {(event: Event) => void} */
  const holding = (held, target) => (event) => {
    if (!isTrusted(event)) return; // the page's own, or one that was held back
    const candidate = eventType(event) === "icecandidate" && eventCandidate(event);
    if (candidate && !has(passwords, candidateUfrag(candidate))) learn(descriptionText(localDescription(held.connection)));
    const c = candidate ? knownObject(candidate) : undefined;
    if (held.items.length === 0 && c?.state !== "asking") {
      if (c?.state === "dropped") stop(event);
      return;
    }
    stop(event);
    if (held.items.length === 0) held.states = statesNow(held);
    // Browsers do not dispatch again what was stopped.
    const type = eventType(event);
    const again = candidate === false ? new Event(type) : new IceEvent(type, { __proto__: null, candidate });
    weakSet(ours, again, true);
    append(held.items, { again, target, candidate: c, states: statesNow(held) });
    if (c?.state === "asking") append(c.waiting, held);
  };

  const tasks = new MessageChannel();
  const post = free(MessagePort.prototype.postMessage);
  /** @type {Held[]} */
  const due = [];
  tasks.port1.onmessage = () => {
    const held = /** @type {Held} */ (shift(due));
    held.releasing = false;
    const item = held.items[0];
    if (!item || item.candidate?.state === "asking") return;
    shift(held.items);
    held.states = item.states;
    release(held); // even if a listener throws
    if (signalingState(held.connection) !== "closed" && item.candidate?.state !== "dropped") dispatch(item.target, item.again);
  };
  /** @param {Held} held */
  function release(held) {
    if (held.releasing || held.items.length === 0 || held.items[0].candidate?.state === "asking") return;
    held.releasing = true;
    append(due, held);
    post(tasks.port2, 0);
  }

  /** @param {any} connection */
  function hold(connection) {
    /** @type {Held} */
    const held = { connection, items: [], states: undefined, transports: [], releasing: false };
    weakSet(heldOf, connection, held);
    append(connections, new WeakRef(connection));
    while (connections.length > mostOwners) shift(connections);
    // In the phase of capture, and before the page has the connection: so before all listeners of the page.
    listen(connection, "icecandidate", holding(held, connection), true);
    listen(connection, "icegatheringstatechange", holding(held, connection), true);
    tell("wake");
  }

  /** @param {Held | undefined} held @param {any} target @param {string} state @returns {string} */
  const shownState = (held, target, state) => (held && held.items.length > 0 && get(held.states, target)) || state;

  // What the page calls and reads.

  /**
   * Puts a function before one of the browser's. A Proxy has its name, its length and its text.
   * @param {any} type a constructor, or undefined where the browser has none
   * @param {string | symbol} name
   * @param {(native: Function, self: any, args: any[]) => any} call
   * @param {"value" | "get" | "set"} [which]
   */
  function replace(type, name, call, which = "value") {
    const property = type && getOwnPropertyDescriptor(type.prototype, name);
    if (!property?.[which]) return undefined;
    property[which] = new Proxy(property[which], { __proto__: null, apply: call });
    defineProperty(type.prototype, name, property);
    return property[which];
  }
  /**
   * @param {any} type
   * @param {string} name
   * @param {(value: any, self: any) => any} change
   */
  function replaceGetter(type, name, change) {
    replace(type, name, (native, self, args) => change(apply(native, self, args), self), "get");
  }

  const Proxied = new Proxy(Connection, {
    __proto__: null,
    construct(/** @type {any} */ target, /** @type {any[]} */ args, /** @type {any} */ newTarget) {
      const connection = construct(target, args, newTarget === Proxied ? target : newTarget);
      hold(connection);
      return connection;
    },
  });
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) {
    const property = getOwnPropertyDescriptor(global, name);
    if (property?.value === Connection) defineProperty(global, name, { ...property, value: Proxied });
  }
  defineProperty(Connection.prototype, "constructor", {
    .../** @type {any} */ (getOwnPropertyDescriptor(Connection.prototype, "constructor")), value: Proxied,
  });

  // In Firefox the handlers that are properties of a connection do not hear what a script dispatches. So there they are listeners.
  const isFirefox = Boolean(getOwnPropertyDescriptor(Connection.prototype, "setIdentityProvider"));
  for (const type of isFirefox ? ["icecandidate", "icegatheringstatechange"] : []) {
    /** @type {WeakMap<object, {handler: any, listener: (event: Event) => void}>} */
    const handlers = new WeakMap();
    replace(Connection, "on" + type, (native, self, args) => {
      apply(native, self, args); // which throws where self is no connection
      return weakGet(handlers, self)?.handler ?? null;
    }, "get");
    replace(Connection, "on" + type, (native, self, args) => {
      apply(native, self, [null]);
      let entry = weakGet(handlers, self);
      if (!entry) {
        entry = { handler: null, listener: (/** @type {Event} */ event) => {
          if ((isTrusted(event) || weakGet(ours, event)) && typeof entry.handler === "function") apply(entry.handler, self, [event]);
        } };
        weakSet(handlers, self, entry);
      }
      const handler = typeof args[0] === "function" || typeof args[0] === "object" ? args[0] : null;
      if (handler && !entry.handler) listen(self, type, entry.listener);
      if (!handler && entry.handler) unlisten(self, type, entry.listener);
      entry.handler = handler;
    }, "set");
  }

  /** @param {any} description what createOffer and createAnswer give: an object of the page's, or none */
  function made(description) {
    const own = description && getOwnPropertyDescriptor(description, "sdp");
    learn(own ? own.value : description && descriptionText(description));
    if (own) defineProperty(description, "sdp", { ...own, value: shownDescription(own.value) });
    return description;
  }
  /** @param {any} args with a callback that takes a description first, as before promises */
  function withMade(args) {
    if (typeof args[0] === "function") {
      const success = args[0];
      args[0] = (/** @type {any} */ description) => apply(success, undefined, [made(description)]);
    }
    return args;
  }
  for (const name of ["createOffer", "createAnswer"]) {
    replace(Connection, name, (native, self, args) => then(apply(native, self, withMade(args)), made));
  }
  for (const name of ["setLocalDescription", "setRemoteDescription"]) {
    replace(Connection, name, (native, self, args) => {
      const sdp = size(own) > 0 ? args[0]?.sdp : undefined;
      const restored = handedInDescription(sdp);
      if (restored !== sdp) args[0] = { type: args[0].type, sdp: restored };
      return apply(native, self, args);
    });
  }
  replace(Connection, "addIceCandidate", (native, self, args) => {
    const candidate = size(own) > 0 ? args[0]?.candidate : undefined;
    const restored = typeof candidate === "string" ? handedIn(candidate) : candidate;
    if (restored !== candidate) {
      const { sdpMid, sdpMLineIndex, usernameFragment } = args[0];
      args[0] = { candidate: restored, sdpMid, sdpMLineIndex, usernameFragment };
    }
    return apply(native, self, args);
  });
  for (const name of ["localDescription", "currentLocalDescription", "pendingLocalDescription"]) {
    replaceGetter(Connection, name, (description) => {
      if (description) learn(descriptionText(description));
      return description;
    });
  }
  replaceGetter(Connection, "iceGatheringState", (state, self) => shownState(weakGet(heldOf, self), self, state));

  replaceGetter(global.RTCSessionDescription, "sdp", shownDescription);
  replace(global.RTCSessionDescription, "toJSON", (native, self, args) => {
    const json = apply(native, self, args);
    json.sdp = shownDescription(json.sdp);
    return json;
  });

  replaceGetter(global.RTCIceCandidate, "candidate", (text, self) => shown(text, candidateUfrag(self) ?? ""));
  replace(global.RTCIceCandidate, "toJSON", (native, self, args) => {
    const json = apply(native, self, args);
    json.candidate = shown(json.candidate, candidateUfrag(self) ?? "");
    return json;
  });
  /** @type {[string, (c: Candidate) => any][]} */
  const parts = [
    ["address", (c) => c.shown], ["relatedAddress", (c) => c.related], ["relatedPort", (c) => c.relatedPort && +c.relatedPort],
  ];
  for (const [name, part] of parts) {
    replaceGetter(global.RTCIceCandidate, name, (value, self) => {
      const c = knownObject(self);
      return (c?.state === "encrypted" && part(c)) || value;
    });
  }

  replace(global.RTCIceTransport, "getLocalCandidates", (native, self, args) => {
    const all = apply(native, self, args);
    /** @type {any[]} */
    const out = [];
    for (let i = 0; i < all.length; i++) {
      const state = knownObject(all[i])?.state;
      if (state !== "asking" && state !== "dropped") append(out, all[i]);
    }
    return out;
  });
  replace(global.RTCIceTransport, "getSelectedCandidatePair", (native, self, args) => {
    const pair = apply(native, self, args);
    return pair && knownObject(pair.local)?.state === "asking" ? null : pair;
  });
  replaceGetter(global.RTCIceTransport, "gatheringState", (state, self) => shownState(weakGet(ownerOf, self), self, state));

  const [sctp, sctpTransport, iceTransport] = [
    getter(Connection, "sctp"), getter(global.RTCSctpTransport, "transport"), getter(global.RTCDtlsTransport, "iceTransport"),
  ];
  const transceivers = free(Connection.prototype.getTransceivers);
  const [sender, senderTransport] = [getter(global.RTCRtpTransceiver, "sender"), getter(global.RTCRtpSender, "transport")];
  /** @param {any} dtls an RTCDtlsTransport, or none */
  const iceOf = (dtls) => dtls && iceTransport(dtls);
  /** @param {any} connection @param {any} transport */
  function uses(connection, transport) {
    const data = sctp(connection);
    if (data && iceOf(sctpTransport(data)) === transport) return true;
    const all = transceivers(connection);
    for (let i = 0; i < all.length; i++) if (iceOf(senderTransport(sender(all[i]))) === transport) return true;
    return false;
  }
  replaceGetter(global.RTCDtlsTransport, "iceTransport", (transport) => {
    const deref = free(WeakRef.prototype.deref);
    for (let i = connections.length; transport && !weakGet(ownerOf, transport) && i-- > 0;) {
      const connection = deref(connections[i]);
      if (!connection || !uses(connection, transport)) continue;
      const held = weakGet(heldOf, connection);
      weakSet(ownerOf, transport, held);
      append(held.transports, transport);
      listen(transport, "gatheringstatechange", holding(held, transport), true);
    }
    return transport;
  });

  const privateAddress = /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd]|fe[89ab])/i;
  /** @param {any} stat an entry of a report: changed in place, as browsers give the page objects of its own */
  function shownStat(stat) {
    const type = stat?.type;
    if (type !== "local-candidate" && type !== "remote-candidate") return stat;
    for (let i = 0; i < statAddresses.length; i++) {
      const name = statAddresses[i];
      const address = stat[name];
      if (typeof address !== "string" || address === "") continue;
      const known = get(encrypted, lower(address));
      // A peer's address that its packets have told, and no candidate: Firefox shows it once the page has the microphone.
      const told = stat.candidateType === "prflx" && size(encrypted) > 0 && exec(privateAddress, address);
      if (known !== undefined || told) stat[name] = name === "relatedAddress" || known === undefined ? untold : known;
    }
    return stat;
  }
  const statAddresses = ["address", "ip", "relatedAddress"];
  const untold = isFirefox ? "(redacted)" : ""; // as the browsers have it themselves
  const Report = global.RTCStatsReport;
  replace(Report, "get", (native, self, args) => shownStat(apply(native, self, args)));
  replace(Report, "forEach", (native, self, args) => {
    const visit = args[0];
    if (typeof visit === "function") {
      args[0] = function (/** @type {any} */ stat, /** @type {any} */ id, /** @type {any} */ report) {
        apply(visit, this, [shownStat(stat), id, report]);
      };
    }
    return apply(native, self, args);
  });
  const ofMaps = getPrototypeOf(new Map().keys());
  /** @type {WeakMap<object, boolean>} */
  const dressed = new WeakMap();
  const each = free(Report.prototype.forEach);
  /** @param {Function} native @param {any} self @param {any[]} args */
  function iterate(native, self, args) {
    const iterator = apply(native, self, args);
    each(self, shownStat); // in Firefox a report gives the same objects each time, and iterators of maps
    const prototype = getPrototypeOf(iterator);
    if (prototype !== ofMaps && !weakGet(dressed, prototype)) {
      weakSet(dressed, prototype, true);
      replace({ prototype }, "next", (next, of, none) => {
        const result = apply(next, of, none);
        const value = result.value;
        shownStat(isArray(value) ? value[1] : value);
        return result;
      });
    }
    return iterator;
  }
  const isArray = global.Array.isArray;
  const entries = getOwnPropertyDescriptor(Report.prototype, "entries")?.value;
  for (const name of ["keys", "values", "entries"]) replace(Report, name, iterate);
  if (Report.prototype[Symbol.iterator] === entries) {
    defineProperty(Report.prototype, Symbol.iterator, {
      .../** @type {any} */ (getOwnPropertyDescriptor(Report.prototype, Symbol.iterator)), value: Report.prototype.entries,
    });
  } else {
    replace(Report, Symbol.iterator, iterate);
  }

  const [failedAddress, failedPort] = [getter(global.RTCPeerConnectionIceErrorEvent, "address"), getter(global.RTCPeerConnectionIceErrorEvent, "port")];
  /** @param {any} event @returns {string | undefined} */
  const failedName = (event) => get(encrypted, lower(failedAddress(event) ?? ""));
  replaceGetter(global.RTCPeerConnectionIceErrorEvent, "address", (address, self) => failedName(self) ?? address);
  replaceGetter(global.RTCPeerConnectionIceErrorEvent, "hostCandidate", (host, self) => {
    const name = failedName(self);
    return name === undefined ? host : name + ":" + failedPort(self);
  });
})();
