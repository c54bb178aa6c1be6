// In the page's own world, before any script of the page: what a page reads of its RTCPeerConnections has encrypted names
// in place of the browser's own names and addresses, and what it hands in has the browser's names again.
//
// All this is in reach of the page's scripts, which may replace any function of the language: those used are from before
// the page's first script. A page must not learn an address by guessing either: only what the browser made is asked for
// and replaced, never what a page wrote.
(() => {
  "use strict";
  const global = /** @type {any} */ (globalThis);
  const {
    CustomEvent, Event, EventTarget, Map, MessageChannel, Promise, Proxy, RTCDtlsTransport, RTCIceCandidate, RTCIceTransport,
    RTCPeerConnection, RTCPeerConnectionIceErrorEvent, RTCPeerConnectionIceEvent, RTCRtpSender, RTCRtpTransceiver, RTCSctpTransport,
    RTCSessionDescription, RTCStatsReport, String, WeakMap, WeakRef, setTimeout,
  } = global;
  if (!RTCPeerConnection) return; // switched off in this browser
  const { apply, construct, defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = /** @type {any} */ (Reflect);
  const { isArray } = global.Array, { setPrototypeOf } = global.Object;

  /** @param {Function} method @returns {(self: any, ...args: any[]) => any} the same with its this as an argument */
  const free = (method) => (self, ...args) => apply(method, self, args);
  /** @param {any} type a constructor, or none @param {string} name @returns {(self: any) => any} what reads a property */
  const getter = (type, name) => free((type && getOwnPropertyDescriptor(type.prototype, name)?.get) ?? (() => undefined));
  const indexOf = free("".indexOf), slice = free("".slice), startsWith = free("".startsWith), lower = free("".toLowerCase);
  const execute = free(RegExp.prototype.exec), shift = free([].shift), then = free(Promise.prototype.then);
  const get = free(Map.prototype.get), set = free(Map.prototype.set), has = free(Map.prototype.has), remove = free(Map.prototype.delete);
  const size = getter(Map, "size"), keys = free(Map.prototype.keys), nextKey = free(getPrototypeOf(new Map().keys()).next);
  const clock = performance, timeOf = clock.now, now = () => apply(timeOf, clock, []);
  const weakGet = free(WeakMap.prototype.get), weakSet = free(WeakMap.prototype.set), deref = free(WeakRef.prototype.deref);
  const listen = free(EventTarget.prototype.addEventListener), unlisten = free(EventTarget.prototype.removeEventListener);
  const dispatch = free(EventTarget.prototype.dispatchEvent), stop = free(Event.prototype.stopImmediatePropagation);
  const post = free(global.MessagePort.prototype.postMessage);
  const detail = getter(CustomEvent, "detail"), eventType = getter(Event, "type");
  const candidateText = getter(RTCIceCandidate, "candidate"), candidateUfrag = getter(RTCIceCandidate, "usernameFragment");
  const eventCandidate = getter(RTCPeerConnectionIceEvent, "candidate");
  const descriptionText = getter(RTCSessionDescription, "sdp"), localDescription = getter(RTCPeerConnection, "localDescription");
  const empty = /^/;
  /** @param {RegExp} pattern @param {string} text @returns {any} a match, of which the page finds nothing in RegExp.input and the like */
  function exec(pattern, text) {
    const match = execute(pattern, text);
    if (match) execute(empty, "");
    return match;
  }
  /** @param {any[]} list @param {any} value without the setters that a page may give to the prototype of arrays */
  const append = (list, value) => defineProperty(list, list.length, { __proto__: null, value, writable: true, enumerable: true, configurable: true });

  // Texts, taken apart by hand: the methods for it look for others in prototypes.

  /** @returns {string[]} a list that inherits no setters either, for descriptions of thousands of lines */
  const list = () => setPrototypeOf([], null);
  /** @param {string} text @param {string} end @returns {string[]} the pieces of it, each with its end */
  function pieces(text, end) {
    const out = list();
    let at = 0;
    for (let next; (next = indexOf(text, end, at)) >= 0; at = next + 1) out[out.length] = slice(text, at, next + 1);
    out[out.length] = slice(text, at);
    return out;
  }
  /** @param {string[]} all */
  function joined(all) {
    let out = "";
    for (let i = 0; i < all.length; i++) out += all[i];
    return out;
  }

  // The fields of a candidate by number (RFC 8839, section 5.1), each with the space after it.
  const ADDRESS = 4, TYPE = 7, RELATED = 9;
  /** @param {string[]} fields @param {number} i */
  function field(fields, i) {
    const text = i < fields.length ? fields[i] : "";
    let end = text.length;
    while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\r" || text[end - 1] === "\n")) end--;
    return slice(text, 0, end);
  }
  /** @param {string[]} fields @param {number} i @param {string} value */
  const setField = (fields, i, value) => { fields[i] = value + slice(fields[i], field(fields, i).length); };
  /** @param {string[]} fields @returns {string} the related address, or none */
  const related = (fields) => (field(fields, RELATED - 1) === "raddr" ? field(fields, RELATED) : "");
  /** @param {string} address @returns {boolean} whether it is no name */
  const isRaw = (address) => exec(/^[\d.]+$|:/, address) !== null;

  // What is known of the browser's own candidates.

  /**
   * A candidate that tells of this host, and what a page sees in its place. Until that is known it is in no event and no
   * description.
   * @typedef {{state: "asking" | "encrypted" | "kept" | "dropped", address: string, fields: string[], waiting: Held[]}} Candidate
   */
  const mostKnown = 16384;
  /** @type {Map<string, string>} The ice-pwd for each ufrag of the browser's. */
  const passwords = new Map();
  /** @type {Map<string, Candidate>} By ufrag and the fields up to the type. */
  const candidates = new Map();
  /** @type {Map<string, string>} The browser's name for each encrypted one; those of raw addresses have "". */
  const own = new Map();
  /** @type {Map<string, string>} The latest encrypted name for each name or address of the browser's, or itself if it was only kept. */
  const encrypted = new Map();
  /** By description and candidate: whether the browser made it, "local" or "remote", or else the page. */
  const made = new WeakMap();

  /** @param {Map<string, any>} map @param {string} key @param {any} value */
  function remember(map, key, value) {
    if (size(map) >= mostKnown) remove(map, nextKey(keys(map)).value);
    set(map, key, value);
  }
  /** @param {string} ufrag @param {string[]} fields */
  function keyOf(ufrag, fields) {
    let key = ufrag;
    for (let i = 0; i <= TYPE; i++) key += " " + lower(field(fields, i));
    return key;
  }
  /** @param {string[]} fields of a candidate of the browser's @returns {boolean} whether it tells of this host */
  const tells = (fields) => fields.length > TYPE &&
    (lower(field(fields, TYPE)) === "host" || exec(/^(0\.0\.0\.0|::|)$/, related(fields)) === null);
  /** @param {any} candidate an RTCIceCandidate @returns {Candidate | undefined} */
  const knownOf = (candidate) => get(candidates, keyOf(candidateUfrag(candidate), pieces(candidateText(candidate), " ")));

  /**
   * @param {any} candidate of an event of the browser's
   * @param {any} connection
   * @returns {Candidate | undefined} none if a page may see all of it
   */
  function meet(candidate, connection) {
    const text = candidateText(candidate), ufrag = candidateUfrag(candidate);
    const fields = pieces(text, " "), address = field(fields, ADDRESS);
    if (!tells(fields)) return undefined;
    const key = keyOf(ufrag, fields), known = get(candidates, key);
    if (known) return known;
    /** @type {Candidate} */
    const c = { state: "asking", address, fields, waiting: [] };
    remember(candidates, key, c);
    const began = now(), pwd = get(passwords, ufrag);
    // Where the description that it belongs to is gone already, nobody can use it.
    if (pwd === undefined) settle(isRaw(address) ? "dropped" : "kept", text);
    else nameToAsk(fields, connection, (name) => {
      const own = pieces(text, " ");
      if (name) setField(own, ADDRESS, name);
      ask(joined(own) + (exec(/ ufrag /, text) ? "" : " ufrag " + ufrag), pwd, now() - began, settle);
    });
    /** @param {any} verdict @param {string} answer */
    function settle(verdict, answer) {
      const answered = pieces(answer, " ");
      c.state = verdict !== "encrypted" ? verdict : answered.length > TYPE ? "encrypted" : "kept";
      if (c.state === "encrypted" && field(answered, ADDRESS) !== address) {
        const name = field(answered, ADDRESS);
        remember(own, lower(name), isRaw(address) ? "" : address);
        remember(encrypted, lower(address), name);
      }
      if (c.state === "kept" && !has(encrypted, lower(address))) remember(encrypted, lower(address), address);
      c.fields = answered;
      const { waiting } = c;
      c.waiting = [];
      for (let i = 0; i < waiting.length; i++) release(waiting[i]);
    }
    return c;
  }

  // Firefox lets nobody ask for the names in an offer before it has the answer. So a connection that is answered at once, by
  // nobody, stands in for a while: the names of the same addresses, which are known by the same priority, can be asked for.

  const isFirefox = "setIdentityProvider" in RTCPeerConnection.prototype;
  const standInServes = 2000, standInLasts = 4000; // milliseconds: Firefox tells the console of a connection that fails, after 5 s
  let standInMayTake = 250; // milliseconds: most of the budget
  const longest = 6000; // milliseconds: more than any budget, for a relay that ended before it answered
  const { close, createDataChannel, createOffer, setLocalDescription, setRemoteDescription } = RTCPeerConnection.prototype;
  const currentLocalDescription = getter(RTCPeerConnection, "currentLocalDescription");
  /** @type {{names: Map<string, string>, missing: number, waiting: (() => void)[]} | undefined} */
  let standIn;
  /** @param {string[]} fields the priority is RFC 8445's, without the component */
  const interfaceOf = (fields) => lower(field(fields, 2)) + " " + (+field(fields, 3) >>> 8);

  function makeStandIn() {
    const names = new Map(), made = standIn = { names, missing: 2, waiting: /** @type {(() => void)[]} */ ([]) };
    const connection = construct(RTCPeerConnection, []);
    const retire = () => { if (standIn === made) standIn = undefined; };
    const serve = () => {
      const { waiting } = made;
      made.waiting = [];
      for (let i = 0; i < waiting.length; i++) waiting[i]();
    };
    const end = () => {
      retire();
      apply(close, connection, []);
      made.missing = 0;
      serve();
    };
    const step = () => { if (--made.missing === 0) serve(); };
    listen(connection, "icecandidate", (/** @type {Event} */ event) => {
      const candidate = eventCandidate(event);
      if (!candidate) return step();
      const fields = pieces(candidateText(candidate), " ");
      set(names, interfaceOf(fields), field(fields, ADDRESS));
    });
    apply(createDataChannel, connection, [""]);
    // With callbacks: a page may replace what promises resolve by.
    apply(createOffer, connection, [(/** @type {any} */ offer) => apply(setLocalDescription, connection, [offer, () => {
      const text = descriptionText(localDescription(connection)), role = "actpass", at = indexOf(text, role);
      const sdp = slice(text, 0, at) + "active" + slice(text, at + role.length);
      apply(setRemoteDescription, connection, [{ __proto__: null, type: "answer", sdp }, step, end]);
    }, end]), end]);
    setTimeout(retire, standInServes);
    setTimeout(end, standInLasts); // by when the default budget of all that was asked for is over
  }

  /** @param {string[]} fields @param {any} connection @param {(name: string | undefined) => void} use gets a name to ask for instead, or none */
  function nameToAsk(fields, connection, use) {
    if (!isFirefox || isRaw(field(fields, ADDRESS)) || currentLocalDescription(connection)) return use(undefined);
    if (!standIn) makeStandIn();
    const of = /** @type {NonNullable<typeof standIn>} */ (standIn);
    let isFound = false;
    const found = () => {
      if (!isFound) use(get(of.names, interfaceOf(fields)));
      isFound = true;
    };
    if (of.missing === 0) return found();
    append(of.waiting, found);
    setTimeout(found, standInMayTake);
  }

  // Texts as a page sees them, and as the browser does.

  /** @param {string} text a candidate @param {Candidate | undefined} c @returns {string} */
  function shown(text, c) {
    if (c?.state !== "encrypted") return text;
    const fields = pieces(text, " ");
    setField(fields, ADDRESS, field(c.fields, ADDRESS));
    if (related(fields) && related(c.fields)) {
      setField(fields, RELATED, related(c.fields));
      setField(fields, RELATED + 2, field(c.fields, RELATED + 2));
    }
    return joined(fields);
  }
  /** @param {any} candidate an RTCIceCandidate @returns {Candidate | undefined} what a page sees in its place */
  function replacing(candidate) {
    const maker = weakGet(made, candidate), c = maker && knownOf(candidate);
    return c && (maker === "local" || !isRaw(c.address)) ? c : undefined;
  }
  /** @param {string} text a candidate of the page's @returns {string} */
  function handedIn(text) {
    const fields = pieces(text, " ");
    const name = get(own, lower(field(fields, ADDRESS)));
    if (!name) return text; // others' names, and those of raw addresses, the browser asks for like any peer
    setField(fields, ADDRESS, name);
    return joined(fields);
  }

  /**
   * @param {string} sdp
   * @param {(lines: string[], ufrag: string, pwd: string) => void} visit may change the lines of a section, the session's first
   * @returns {string} the description with the lines as they are then
   */
  function sections(sdp, visit) {
    const lines = pieces(sdp, "\n");
    let out = "", first = 0, sessionUfrag = "", sessionPwd = "";
    for (let i = 1; i <= lines.length; i++) {
      if (i < lines.length && !startsWith(lines[i], "m=")) continue;
      const section = list();
      let ufrag = sessionUfrag, pwd = sessionPwd;
      for (let j = first; j < i; j++) {
        section[section.length] = lines[j];
        if (!startsWith(lines[j], "a=ice-")) continue;
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
  const candidateLine = "a=candidate:";

  /** @param {string} sdp a description of the browser's own: its credentials are remembered */
  const learn = (sdp) => sections(sdp, (_, ufrag, pwd) => { if (ufrag && !has(passwords, ufrag)) remember(passwords, ufrag, pwd); });

  /** @param {string} sdp of a description that the browser made @param {boolean} local @returns {string} as the page sees it */
  const shownDescription = (sdp, local) => {
    // Of the whole description: a section that is bundled with one before it has its address, and no candidates.
    let hidden = false;
    const visible = new Map();
    return sections(sdp, (lines, ufrag) => {
      if (!has(passwords, ufrag)) return;
      let partial = false;
      for (let i = 0; i < lines.length; i++) {
        if (!startsWith(lines[i], candidateLine)) continue;
        const text = slice(lines[i], 2), fields = pieces(text, " "), address = field(fields, ADDRESS);
        const c = get(candidates, keyOf(ufrag, fields));
        if (!local) {
          if (c && !isRaw(address)) lines[i] = "a=" + shown(text, c);
        } else if (!tells(fields) || c?.state === "kept") {
          set(visible, address, true);
        } else {
          hidden = true;
          partial ||= !c || c.state === "asking"; // a description has candidates before their events
          lines[i] = c?.state === "encrypted" ? "a=" + shown(text, c) : "";
        }
      }
      for (let i = 0; i < lines.length; i++) {
        if (partial && startsWith(lines[i], "a=end-of-candidates")) lines[i] = "";
        const line = hidden && exec(/^(c=|a=rtcp:\d+ )IN IP([46]) ([^\r\n]*)/, lines[i]);
        if (!line || has(visible, line[3]) || exec(/^(0\.0\.0\.0|::)$/, line[3])) continue;
        const isConnection = line[1] === "c=", name = isRaw(line[3]) ? undefined : get(encrypted, lower(line[3])); // Firefox has names there
        lines[i] = (name ? line[1] : isConnection ? "c=" : "a=rtcp:9 ") + "IN IP" + line[2] + " " +
          (name ?? (line[2] === "4" ? "0.0.0.0" : "::")) + slice(lines[i], line[0].length);
        const media = isConnection && !name && exec(/^(m=[^ ]* )[1-9]\d*/, lines[0]);
        if (media) lines[0] = media[1] + "9" + slice(lines[0], media[0].length);
      }
    });
  };

  /** @param {string} sdp of the page's @param {boolean} local @returns {string} as the browser is to have it */
  const handedInDescription = (sdp, local) => sections(sdp, (lines) => {
    for (let i = 0; i < lines.length; i++) {
      if (!startsWith(lines[i], candidateLine)) continue;
      const text = slice(lines[i], 2), fields = pieces(text, " "), address = lower(field(fields, ADDRESS));
      // The browser has its own raw addresses, and what it has not is a guess.
      const known = local && (get(own, address) === "" || (isRaw(address) && tells(fields)));
      lines[i] = known ? "" : "a=" + handedIn(text);
    }
  });

  // The way to relay.js: events on a node that is in no document, so that no listener of the page hears them.

  const node = document.createElement("span");
  /** @type {Map<string, (verdict: any, candidate: string) => void>} */
  const asked = new Map();
  let questions = 0;

  /** @param {string} kind @param {string} [text] @returns {boolean} whether somebody took it */
  const tell = (kind, text) => !dispatch(node, new CustomEvent(kind, { __proto__: null, cancelable: true, detail: text }));
  /** @param {string} id @param {string} verdict @param {string} candidate */
  function answered(id, verdict, candidate) {
    const answer = get(asked, id);
    remove(asked, id);
    answer?.(verdict, candidate);
  }
  /** @param {string} candidate @param {string} pwd @param {number} waited milliseconds @param {(verdict: any, candidate: string) => void} answer */
  function ask(candidate, pwd, waited, answer) {
    const id = String(++questions);
    set(asked, id, answer);
    setTimeout(() => answered(id, "kept", ""), longest);
    if (!tell("ask", id + "\n" + candidate + "\n" + pwd + "\n" + waited)) answered(id, "kept", "");
  }
  listen(node, "answer", (/** @type {Event} */ event) => {
    const answer = exec(/^(\d+)\n(encrypted|kept|dropped)\n(.*)$/, detail(event));
    if (answer) answered(answer[1], answer[2], answer[3]);
  });
  listen(node, "budget", (/** @type {Event} */ event) => { standInMayTake = +detail(event) * 0.8; });
  // Whichever of the two scripts comes second finds the first. Once they have met, nobody else is to learn of the node.
  const introduce = () => !dispatch(document, new MouseEvent("candgw-page", { relatedTarget: node, cancelable: true }));
  if (!introduce()) listen(document, "candgw-relay", introduce, { once: true });

  // Events that are held back while a candidate before them is asked for. They follow in order, each in a task of its own.

  /**
   * The states of gathering are those that the page has heard of.
   * @typedef {{again: Event, target: any, candidate: Candidate | undefined, states: any}} Item
   * @typedef {{connection: any, items: Item[], states: any, transports: any[], releasing: boolean}} Held
   */
  const heldOf = new WeakMap(); // by connection and by transport
  const ours = new WeakMap(); // events
  const connectionState = getter(RTCPeerConnection, "iceGatheringState"), transportState = getter(RTCIceTransport, "gatheringState");
  const signalingState = getter(RTCPeerConnection, "signalingState");
  const isTrusted = (/** @type {Event} */ event) => event.isTrusted; // an own property that no page can replace

  /** @param {Held} held */
  function statesNow(held) {
    const states = new Map();
    set(states, held.connection, connectionState(held.connection));
    for (let i = 0; i < held.transports.length; i++) set(states, held.transports[i], transportState(held.transports[i]));
    return states;
  }
  /** @param {Held} held @param {any} target @returns {(event: Event) => void} a listener that hears before the page's */
  const holding = (held, target) => (event) => {
    if (!isTrusted(event)) return; // the page's own, or one that follows
    const type = eventType(event), candidate = type === "icecandidate" ? eventCandidate(event) : null;
    if (candidate && !has(passwords, candidateUfrag(candidate))) learn(descriptionText(localDescription(held.connection)) ?? "");
    if (candidate) weakSet(made, candidate, "local");
    const c = candidate ? meet(candidate, held.connection) : undefined;
    if (held.items.length === 0 && c?.state !== "asking") {
      if (c?.state === "dropped") stop(event);
      return;
    }
    stop(event);
    if (held.items.length === 0) held.states = statesNow(held);
    // Chromium lets no event that was stopped be dispatched again.
    const again = type === "icecandidate" ? new RTCPeerConnectionIceEvent(type, { __proto__: null, candidate }) : new Event(type);
    weakSet(ours, again, true);
    append(held.items, { again, target, candidate: c, states: statesNow(held) });
    if (c?.state === "asking") append(c.waiting, held);
  };

  /**
   * Browsers tell of no candidates once a page has taken back the description that they are of, as where two offers collide.
   * @param {Held} held
   * @param {Event} event
   */
  function isOld(held, event) {
    const candidate = eventType(event) === "icecandidate" ? eventCandidate(event) : null;
    const ufrag = candidate && candidateUfrag(candidate);
    if (!ufrag) return false;
    const description = localDescription(held.connection);
    return !description || indexOf(descriptionText(description), "\na=ice-ufrag:" + ufrag + "\r") < 0;
  }

  const tasks = new MessageChannel();
  /** @type {Held[]} */
  const due = [];
  /** @param {Held} held */
  function release(held) {
    if (held.releasing || held.items.length === 0 || held.items[0].candidate?.state === "asking") return;
    held.releasing = true;
    append(due, held);
    post(tasks.port2, 0);
  }
  tasks.port1.onmessage = () => {
    const held = /** @type {Held} */ (shift(due)), item = /** @type {Item} */ (shift(held.items));
    held.releasing = false;
    held.states = item.states;
    release(held); // whatever the listeners do
    const gone = signalingState(held.connection) === "closed" || item.candidate?.state === "dropped" || isOld(held, item.again);
    if (!gone) dispatch(item.target, item.again);
    weakSet(ours, item.again, false); // from now on it is the page's to dispatch
  };

  // What a page calls and reads.

  /**
   * Puts a function before one of the browser's: a Proxy has its name and its length, and tells no code.
   * @param {any} type a constructor, or none where the browser has not got it
   * @param {string | symbol} name
   * @param {(native: Function, self: any, args: any[]) => any} call
   * @param {"value" | "get" | "set"} [which]
   */
  function replace(type, name, call, which = "value") {
    const property = type && getOwnPropertyDescriptor(type.prototype, name);
    if (!property?.[which]) return;
    property[which] = new Proxy(property[which], { __proto__: null, apply: call });
    defineProperty(type.prototype, name, property);
  }
  /** @param {any} type @param {string} name @param {(value: any, self: any) => any} change */
  const replaceGetter = (type, name, change) => replace(type, name, (native, self, args) => change(apply(native, self, args), self), "get");

  const recent = /** @type {any[]} */ ([]), mostRecent = 256; // references to connections, in which that of a transport is found
  const Replaced = new Proxy(RTCPeerConnection, {
    __proto__: null,
    construct(/** @type {any} */ target, /** @type {any[]} */ args, /** @type {any} */ newTarget) {
      const connection = construct(target, args, newTarget);
      /** @type {Held} */
      const held = { connection, items: [], states: undefined, transports: [], releasing: false };
      weakSet(heldOf, connection, held);
      append(recent, new WeakRef(connection));
      if (recent.length > mostRecent) shift(recent);
      listen(connection, "icecandidate", holding(held, connection), true);
      listen(connection, "icegatheringstatechange", holding(held, connection), true);
      if (tell("wake") && isFirefox && !standIn) makeStandIn();
      return connection;
    },
  });
  const constructors = [[global, "RTCPeerConnection"], [global, "webkitRTCPeerConnection"], [RTCPeerConnection.prototype, "constructor"]];
  for (const [object, name] of constructors) {
    const property = getOwnPropertyDescriptor(object, name);
    if (property?.value === RTCPeerConnection) defineProperty(object, name, { ...property, value: Replaced });
  }

  // In Firefox the handlers that are properties of a connection hear nothing that a script dispatches: there they are listeners.
  for (const type of isFirefox ? ["icecandidate", "icegatheringstatechange"] : []) {
    const handlers = new WeakMap();
    replaceGetter(RTCPeerConnection, "on" + type, (_, self) => weakGet(handlers, self)?.handler ?? null);
    replace(RTCPeerConnection, "on" + type, (native, self, args) => {
      apply(native, self, [null]); // which throws where self is no connection
      const entry = weakGet(handlers, self) ?? { handler: null, listener: (/** @type {Event} */ event) => {
        if ((isTrusted(event) || weakGet(ours, event)) && typeof entry.handler === "function") apply(entry.handler, self, [event]);
      } };
      weakSet(handlers, self, entry);
      const handler = typeof args[0] === "function" || typeof args[0] === "object" ? args[0] : null;
      if (handler && !entry.handler) listen(self, type, entry.listener);
      if (!handler && entry.handler) unlisten(self, type, entry.listener);
      entry.handler = handler;
    }, "set");
  }

  /** @param {any} description that createOffer or createAnswer gives: an object of the page's, or none with callbacks */
  function offered(description) {
    const sdp = description && getOwnPropertyDescriptor(description, "sdp");
    if (!sdp) return description;
    learn(sdp.value);
    return defineProperty(description, "sdp", { __proto__: null, ...sdp, value: shownDescription(sdp.value, true) }) && description;
  }
  for (const name of ["createOffer", "createAnswer"]) {
    replace(RTCPeerConnection, name, (native, self, args) => {
      const success = args[0];
      if (typeof success === "function") args[0] = (/** @type {any} */ description) => apply(success, undefined, [offered(description)]);
      return then(apply(native, self, args), offered);
    });
  }
  /**
   * Has the browser take what a page hands in from a copy, in which its own names are back. Like the browser, this reads each
   * member once, in the order of their names, and what a getter of the page throws is a reason for the promise to be rejected.
   * @param {string} method
   * @param {string[]} members of which the first is a text with names
   * @param {(text: string) => string} restore
   */
  function takeIn(method, members, restore) {
    replace(RTCPeerConnection, method, (native, self, args) => {
      const init = args[0], copy = /** @type {any} */ ({ __proto__: null });
      if (typeof init !== "object" || init === null) return apply(native, self, args);
      try {
        for (let i = 0; i < members.length; i++) copy[members[i]] = init[members[i]];
        const text = copy[members[0]];
        if (typeof text === "string") copy[members[0]] = restore(text);
      } catch (error) {
        defineProperty(copy, members[0], { __proto__: null, get() { throw error; } });
      }
      args[0] = copy;
      return apply(native, self, args);
    });
  }
  takeIn("setLocalDescription", ["sdp", "type"], (sdp) => handedInDescription(sdp, true));
  takeIn("setRemoteDescription", ["sdp", "type"], (sdp) => handedInDescription(sdp, false));
  takeIn("addIceCandidate", ["candidate", "sdpMLineIndex", "sdpMid", "usernameFragment"], handedIn);

  for (const side of ["Local", "Remote"]) {
    for (const name of [lower(side) + "Description", "current" + side + "Description", "pending" + side + "Description"]) {
      replaceGetter(RTCPeerConnection, name, (description) => {
        if (description && side === "Local") learn(descriptionText(description));
        if (description && !weakGet(made, description)) weakSet(made, description, lower(side));
        return description;
      });
    }
  }
  /** @param {any} sdp @param {any} description */
  const textOf = (sdp, description) => {
    const maker = weakGet(made, description);
    return maker === "local" || maker === "remote" ? shownDescription(sdp, maker === "local") : sdp;
  };
  replaceGetter(RTCSessionDescription, "sdp", textOf);
  replace(RTCSessionDescription, "sdp", (native, self, args) => {
    apply(native, self, args);
    weakSet(made, self, "page");
  }, "set");
  replace(RTCSessionDescription, "toJSON", (native, self, args) => {
    const json = apply(native, self, args);
    json.sdp = textOf(json.sdp, self);
    return json;
  });

  replaceGetter(RTCIceCandidate, "candidate", (text, self) => shown(text, replacing(self)));
  replace(RTCIceCandidate, "toJSON", (native, self, args) => {
    const json = apply(native, self, args);
    json.candidate = shown(json.candidate, replacing(self));
    return json;
  });
  /** @type {[string, (fields: string[]) => any][]} */
  const parts = [
    ["address", (fields) => field(fields, ADDRESS)], ["relatedAddress", related],
    ["relatedPort", (fields) => related(fields) && +field(fields, RELATED + 2)],
  ];
  for (const [name, part] of parts) {
    replaceGetter(RTCIceCandidate, name, (value, self) => {
      const c = value === null ? undefined : replacing(self);
      return c?.state === "encrypted" ? part(c.fields) : value;
    });
  }

  /** @param {any} candidate of a transport, or none @param {string} maker @returns {boolean} whether a page may see it yet */
  function isSettled(candidate, maker) {
    if (candidate && !weakGet(made, candidate)) weakSet(made, candidate, maker);
    const state = candidate && knownOf(candidate)?.state;
    return maker === "remote" || state === "encrypted" || state === "kept" || !tells(pieces(candidateText(candidate), " "));
  }
  for (const side of ["local", "remote"]) {
    replace(RTCIceTransport, side === "local" ? "getLocalCandidates" : "getRemoteCandidates", (native, self, args) => {
      const all = apply(native, self, args), out = /** @type {any[]} */ ([]);
      for (let i = 0; i < all.length; i++) if (isSettled(all[i], side)) append(out, all[i]);
      return out;
    });
  }
  replace(RTCIceTransport, "getSelectedCandidatePair", (native, self, args) => {
    const pair = apply(native, self, args);
    return pair && isSettled(pair.remote, "remote") && isSettled(pair.local, "local") ? pair : null;
  });
  for (const type of [RTCPeerConnection, RTCIceTransport]) {
    replaceGetter(type, type === RTCPeerConnection ? "iceGatheringState" : "gatheringState", (state, self) => {
      const held = weakGet(heldOf, self);
      return (held?.items.length > 0 && get(held.states, self)) || state;
    });
  }

  const sctp = getter(RTCPeerConnection, "sctp"), sctpTransport = getter(RTCSctpTransport, "transport"), sender = getter(RTCRtpTransceiver, "sender");
  const senderTransport = getter(RTCRtpSender, "transport"), iceTransport = getter(RTCDtlsTransport, "iceTransport");
  const transceivers = free(RTCPeerConnection.prototype.getTransceivers);
  /** @param {any} connection @param {any} transport */
  function uses(connection, transport) {
    const isIts = (/** @type {any} */ dtls) => dtls && iceTransport(dtls) === transport;
    const data = sctp(connection), all = transceivers(connection);
    for (let i = 0; i < all.length; i++) if (isIts(senderTransport(sender(all[i])))) return true;
    return data && isIts(sctpTransport(data));
  }
  replaceGetter(RTCDtlsTransport, "iceTransport", (transport) => {
    for (let i = recent.length; i-- > 0 && transport && !weakGet(heldOf, transport);) {
      const connection = deref(recent[i]);
      if (!connection || !uses(connection, transport)) continue;
      const held = weakGet(heldOf, connection);
      weakSet(heldOf, transport, held);
      append(held.transports, transport);
      listen(transport, "gatheringstatechange", holding(held, transport), true);
    }
    return transport;
  });

  const isPrivate = /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd]|fe[89ab])/i;
  const untold = isFirefox ? "(redacted)" : ""; // as the browsers have it themselves
  const statAddresses = ["address", "ip", "relatedAddress"];
  /** @param {any} stat an entry of a report, which is changed */
  function shownStat(stat) {
    const isLocal = stat?.type === "local-candidate";
    for (let i = 0; (isLocal || stat?.type === "remote-candidate") && i < statAddresses.length; i++) {
      const name = statAddresses[i], address = stat[name];
      if (typeof address !== "string" || address === "") continue;
      const known = isLocal || !isRaw(address) ? get(encrypted, lower(address)) : undefined;
      const { candidateType } = stat, isRelated = name === "relatedAddress";
      const isOwn = isLocal && (candidateType === "host" || (isRelated && candidateType !== "relay"));
      // A peer's address that no candidate told, but its packets: Firefox shows it to pages with the microphone.
      const isTold = candidateType === "prflx" && exec(isPrivate, address);
      if (known === undefined ? (isOwn && isRaw(address)) || isTold : known !== address) stat[name] = isRelated ? untold : known ?? untold;
    }
    return stat;
  }
  replace(RTCStatsReport, "get", (native, self, args) => shownStat(apply(native, self, args)));
  const each = free(RTCStatsReport.prototype.forEach);
  replace(RTCStatsReport, "forEach", (native, self, args) => {
    const visit = args[0];
    if (typeof visit === "function") {
      args[0] = function (/** @type {any} */ stat, /** @type {any} */ id, /** @type {any} */ report) {
        apply(visit, this, [shownStat(stat), id, report]);
      };
    }
    return apply(native, self, args);
  });
  const iteratorOfMaps = getPrototypeOf(new Map().keys()), replacedIterators = new WeakMap();
  /** @param {Function} native @param {any} self @param {any[]} args */
  function iterate(native, self, args) {
    const iterator = apply(native, self, args), prototype = getPrototypeOf(iterator);
    each(self, shownStat); // Firefox has the same objects each time, and iterators of maps; Chromium neither
    if (prototype === iteratorOfMaps || weakGet(replacedIterators, prototype)) return iterator;
    weakSet(replacedIterators, prototype, true);
    replace({ prototype }, "next", (next, of, none) => {
      const result = apply(next, of, none);
      shownStat(isArray(result.value) ? result.value[1] : result.value);
      return result;
    });
    return iterator;
  }
  const { entries, [Symbol.iterator]: iterator } = RTCStatsReport.prototype;
  for (const name of ["keys", "values", "entries", Symbol.iterator]) replace(RTCStatsReport, name, iterate);
  if (iterator === entries) {
    const property = getOwnPropertyDescriptor(RTCStatsReport.prototype, Symbol.iterator);
    defineProperty(RTCStatsReport.prototype, Symbol.iterator, { ...property, value: RTCStatsReport.prototype.entries });
  }

  const failedAddress = getter(RTCPeerConnectionIceErrorEvent, "address"), failedPort = getter(RTCPeerConnectionIceErrorEvent, "port");
  /** @param {any} event @returns {string | undefined} */
  const failedName = (event) => get(encrypted, lower(failedAddress(event) ?? ""));
  replaceGetter(RTCPeerConnectionIceErrorEvent, "address", (address, self) => failedName(self) ?? address);
  replaceGetter(RTCPeerConnectionIceErrorEvent, "hostCandidate", (host, self) => {
    const name = failedName(self);
    return name === undefined ? host : name + ":" + failedPort(self);
  });
})();
