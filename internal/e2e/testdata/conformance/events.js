"use strict";
// Events of gathering: who hears them, in which order, and what they hold.

// describeEvent tells all of an event as its handler sees it. That a script has dispatched it is told under its type.
function describeEvent(event, pc, self) {
  const description = {
    type: event.type, chain: chainOf(event), own: ownNames(event).filter(key => key !== "isTrusted"), tag: Object.prototype.toString.call(event),
    target: event.target === pc, currentTarget: event.currentTarget === pc, srcElement: event.srcElement === pc, this: self === undefined ? "no this" : self === pc,
    phase: event.eventPhase, bubbles: event.bubbles, cancelable: event.cancelable, composed: event.composed, prevented: event.defaultPrevented,
    path: event.composedPath().map(one => one === pc), stamp: event.timeStamp > 0, returnValue: event.returnValue, cancelBubble: event.cancelBubble,
  };
  description[`isTrusted of ${event.type}`] = event.isTrusted;
  if ("candidate" in event) {
    description.candidate = describeCandidate(event.candidate);
    description.same = event.candidate === event.candidate;
    description.url = event.url ?? String(event.url);
  }
  return description;
}

function describeCandidate(candidate) {
  if (!candidate) {
    return candidate;
  }
  const seen = {chain: chainOf(candidate), own: ownNames(candidate), tag: Object.prototype.toString.call(candidate), json: shapeOfJSON(candidate.toJSON())};
  for (const key of accessors(RTCIceCandidate)) {
    const value = candidate[key];
    seen[key] = value && ["foundation", "port", "usernameFragment", "candidate"].includes(key) && value !== 9
      ? key === "candidate" ? shapeOfCandidate(value) : mark(key === "usernameFragment" ? "ufrag" : key, value) : describe(value);
  }
  return seen;
}

const kinds = ["icecandidate", "icegatheringstatechange", "icecandidateerror", "signalingstatechange", "iceconnectionstatechange", "connectionstatechange"];

check("events: whole", async () => {
  const pc = newOfferer();
  const log = [];
  pc.onicecandidate = function(event) { log.push(describeEvent(event, pc, this)); };
  pc.onicegatheringstatechange = function(event) { log.push(describeEvent(event, pc, this)); };
  pc.onsignalingstatechange = function(event) { log.push(describeEvent(event, pc, this)); };
  await gather(pc);
  pc.close();
  return log;
});

check("events: order", async () => {
  const pc = newOfferer();
  const log = [];
  // A transport's events come by a way of their own, sometimes before and sometimes after the connection's.
  const transportLog = [];
  for (const kind of kinds) {
    pc.addEventListener(kind, ({type, candidate}) => {
      log.push([type, candidate === undefined ? "" : candidate === null ? null : candidate.candidate === "" ? "end" : "candidate", pc.iceGatheringState, pc.signalingState, pc.connectionState]);
    });
  }
  const done = gathered(pc);
  const offer = await pc.createOffer();
  log.push(["created", pc.iceGatheringState]);
  await pc.setLocalDescription(offer);
  const transport = pc.sctp?.transport?.iceTransport;
  transport && (transport.ongatheringstatechange = ({type, target, isTrusted}) => transportLog.push({type, target: target === transport, state: transport.gatheringState, [`isTrusted of ${type}`]: isTrusted}));
  await done;
  await sleep(50);
  log.push(["end", pc.iceGatheringState, candidatesIn(pc.localDescription).length]);
  pc.close();
  return {log, transportLog};
});

check("events: what is shown agrees", async () => {
  // What an event has told is in the description, and in the end there is no more.
  const pc = newOfferer();
  const told = [], seen = [];
  pc.addEventListener("icecandidate", ({candidate}) => {
    if (candidate?.candidate) {
      told.push(candidate.candidate);
    }
    const shown = candidatesIn(pc.localDescription).map(line => line.slice(2));
    seen.push([told.every(one => shown.some(line => one.startsWith(line) || line.startsWith(one))), candidate === null]);
  });
  pc.addEventListener("icegatheringstatechange", () => seen.push([pc.iceGatheringState, pc.iceGatheringState === "complete" ? candidatesIn(pc.localDescription).length : "some"]));
  await gather(pc);
  const plain = line => line.replace(/ ufrag \S+| network-(id|cost) \d+/g, "");
  const shown = candidatesIn(pc.localDescription).map(line => plain(line.slice(2)));
  const seenEnd = {told: told.length, shown: shown.length, all: told.every(one => shown.includes(plain(one))), pending: candidatesIn(pc.pendingLocalDescription).length};
  pc.close();
  return {seen, seenEnd};
});

check("events: listeners of all kinds", async () => {
  const pc = newOfferer();
  const log = [];
  const counted = {};
  const note = title => () => { counted[title] = (counted[title] ?? 0) + 1; if (!log.includes(title)) log.push(title); };
  const object = {handleEvent(event) { note("object")(); log.includes("object's this") || (this === object && event.type === "icecandidate" && log.push("object's this")); }};
  const twice = note("twice"), captured = note("both phases"), removed = note("removed"), aborted = note("aborted"), abortedLater = note("aborted later");
  const controller = new AbortController(), later = new AbortController();
  const removedLater = note("removed while dispatching");
  pc.addEventListener("icecandidate", note("first"));
  pc.addEventListener("icecandidate", object);
  pc.onicecandidate = note("replaced");
  pc.addEventListener("icecandidate", note("after the property"));
  pc.onicecandidate = note("property");
  pc.addEventListener("icecandidate", note("once"), {once: true});
  pc.addEventListener("icecandidate", note("passive"), {passive: true});
  pc.addEventListener("icecandidate", twice);
  pc.addEventListener("icecandidate", twice);
  pc.addEventListener("icecandidate", captured);
  pc.addEventListener("icecandidate", captured, true);
  pc.addEventListener("icecandidate", removed);
  pc.removeEventListener("icecandidate", removed, true);
  pc.removeEventListener("icecandidate", removed);
  pc.addEventListener("icecandidate", note("captures"), {capture: true});
  pc.addEventListener("icecandidate", aborted, {signal: controller.signal});
  controller.abort();
  pc.addEventListener("icecandidate", abortedLater, {signal: later.signal});
  pc.addEventListener("icecandidate", () => { later.abort(); pc.removeEventListener("icecandidate", removedLater); });
  pc.addEventListener("icecandidate", removedLater);
  pc.addEventListener("icecandidate", () => { counted["added while dispatching"] ??= 0; pc.addEventListener("icecandidate", note("added while dispatching"), {once: true}); }, {once: true});
  pc.addEventListener("icecandidate", null);
  pc.addEventListener("icecandidate", note("already aborted"), {signal: AbortSignal.abort()});
  const none = {};
  pc.addEventListener("icecandidate", none);
  pc.addEventListener("icecandidate", event => { none.handleEvent ??= function(heard) { log.push(["handleEvent found late", heard === event, this === none]); }; }, {once: true});
  const arity = [];
  pc.addEventListener("icecandidate", function() { arity.push(arguments.length); }, {once: true});
  await gather(pc);
  pc.close();
  return {log, counted, arity, property: typeof pc.onicecandidate};
});

check("events: handlers by property", async () => {
  const seen = [];
  const pc = newOfferer();
  for (const [title, value] of Object.entries({number: 5, text: "x", object: {}, handler: {handleEvent() { seen.push("handleEvent of a property"); }}, null: null})) {
    pc.onicecandidate = value;
    seen.push([title, pc.onicecandidate === value, typeof pc.onicecandidate]);
  }
  const first = () => seen.push("first");
  pc.onicecandidate = first;
  seen.push(pc.onicecandidate === first);
  pc.onicecandidate = null;
  seen.push(pc.onicecandidate);
  pc.onicecandidate = event => {
    seen.push(["told once, then another is set", event.candidate !== null]);
    pc.onicecandidate = function(event) { this === pc && event.candidate === null && seen.push("the other hears the end"); };
  };
  pc.onicegatheringstatechange = () => { seen.push(pc.iceGatheringState); return false; };
  await gather(pc);
  pc.close();
  const bad = newOfferer();
  bad.onicecandidate = {handleEvent() { seen.push("handleEvent of a property"); }};
  await gather(bad);
  bad.close();
  return seen;
});

check("events: stopped", async () => {
  const pc = newOfferer();
  const log = [];
  pc.addEventListener("icecandidate", event => {
    log.push(["before", event.cancelable, (event.preventDefault(), event.defaultPrevented)]);
    if (event.candidate?.candidate) {
      event.stopImmediatePropagation();
      log.push(event.cancelBubble);
    } else {
      event.stopPropagation();
    }
  });
  pc.addEventListener("icecandidate", event => log.push(["behind", event.candidate?.candidate ? "candidate" : "end"]));
  pc.onicecandidate = event => log.push(["property", event.candidate?.candidate ? "candidate" : "end"]);
  pc.setLocalDescription(await pc.createOffer());
  await new Promise(resolve => pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && setTimeout(resolve, 100)));
  pc.close();
  return log;
});

check("events: exceptions", async () => {
  const pc = newOfferer();
  const reported = [], heard = [];
  const onerror = event => {
    reported.push([event.message, event.error?.message, event.type]);
    event.preventDefault();
  };
  addEventListener("error", onerror);
  pc.addEventListener("icecandidate", () => { throw new RangeError("of a listener"); }, {once: true});
  pc.addEventListener("icecandidate", {handleEvent() { throw new RangeError("of an object"); }}, {once: true});
  pc.addEventListener("icecandidate", {handleEvent: 5}, {once: true});
  pc.addEventListener("icecandidate", {get handleEvent() { throw new RangeError("of a getter"); }}, {once: true});
  pc.onicecandidate = event => { if (event.candidate === null) { throw "text of a property"; } };
  pc.addEventListener("icecandidate", ({candidate}) => heard.push(candidate ? "candidate" : "end"));
  await gather(pc);
  removeEventListener("error", onerror);
  pc.close();
  return {reported, heard};
}, {alone: true});

check("events: the page's own", async () => {
  const pc = newOfferer();
  const log = [];
  for (const kind of [...kinds, "other"]) {
    pc.addEventListener(kind, event => log.push({
      type: event.type, [`isTrusted of ${event.type}`]: event.isTrusted, detail: event.detail, candidate: describeCandidate(event.candidate), chain: chainOf(event), made: event === last, target: event.target === pc,
    }));
  }
  pc.onicecandidate = event => { event.preventDefault(); log.push(event === last); };
  let last;
  const dispatch = event => { last = event; return pc.dispatchEvent(event); };
  const candidate = new RTCIceCandidate({candidate: "candidate:1 1 udp 2113937151 c0ffee00-1111-4222-8333-444455556666.local 5000 typ host", sdpMid: "0"});
  const results = [
    dispatch(new RTCPeerConnectionIceEvent("icecandidate", {candidate})), dispatch(new RTCPeerConnectionIceEvent("icecandidate", {candidate: null})),
    dispatch(new RTCPeerConnectionIceEvent("icecandidate", {candidate, cancelable: true})), dispatch(new Event("icecandidate")), dispatch(new CustomEvent("icecandidate", {detail: 1})),
    dispatch(new Event("icegatheringstatechange")), dispatch(new Event("other")), dispatch(new MessageEvent("icecandidate", {data: 1})),
  ];
  const again = await outcome(() => dispatch(last));
  const wrong = [await outcome(() => pc.dispatchEvent()), await outcome(() => pc.dispatchEvent({type: "icecandidate"})), await outcome(() => pc.dispatchEvent(document.createEvent("Event")))];
  const redispatched = new Promise(resolve => pc.addEventListener("icecandidate", async event => {
    if (event.isTrusted || event !== last) {
      resolve(await outcome(() => pc.dispatchEvent(event)));
    }
  }));
  pc.setLocalDescription();
  const busy = await redispatched;
  pc.close();
  const other = new EventTarget(), heard = [];
  other.addEventListener("icecandidate", event => heard.push([event.target === other, event instanceof RTCPeerConnectionIceEvent]));
  other.dispatchEvent(new RTCPeerConnectionIceEvent("icecandidate"));
  document.addEventListener("icecandidate", event => heard.push([event.target === document]), {once: true});
  document.dispatchEvent(new Event("icecandidate"));
  return {log: log.slice(0, 40), results, again, wrong, busy, heard};
});

check("events: kept and used later", async () => {
  const pc = newOfferer();
  const kept = [];
  pc.onicecandidate = event => kept.push(event);
  await gather(pc);
  const seen = kept.map(event => [event.eventPhase, event.currentTarget, event.target === pc, event.candidate === null, describeCandidate(event.candidate)]);
  const other = new EventTarget();
  let heard = [];
  other.addEventListener("icecandidate", event => heard.push([event === kept[0], event.isTrusted, event.target === other]));
  const result = await outcome(() => other.dispatchEvent(kept[0]));
  const again = await outcome(() => pc.dispatchEvent(kept[0]));
  pc.close();
  return {seen, result, again, heard, different: new Set(kept).size === kept.length};
});

check("events: closed while gathering", async () => {
  const seen = [];
  for (const when of ["at once", "described", "at the first candidate", "at the gathering state"]) {
    const pc = newOfferer();
    const log = [];
    const closed = () => { pc.close(); log.push("closed", pc.signalingState, pc.iceGatheringState, pc.connectionState); };
    for (const kind of kinds) {
      pc.addEventListener(kind, ({type, candidate}) => {
        log.push(type === "icecandidate" ? candidate ? "candidate" : "end" : type);
        if (when === "at the first candidate" && candidate && pc.signalingState !== "closed" || when === "at the gathering state" && type === "icegatheringstatechange" && pc.signalingState !== "closed") {
          closed();
        }
      });
    }
    const setting = pc.createOffer().then(offer => pc.setLocalDescription(offer)).then(() => "set", error => describeError(error));
    if (when === "at once") {
      closed();
    }
    if (when === "described") {
      await setting;
      closed();
    }
    log.push(await within(500, setting));
    await until(() => log.includes("closed"));
    await sleep(500);
    const at = log.indexOf("closed");
    seen.push({when, before: [...new Set(log.slice(0, at))].filter(one => one !== "[object Object]" && one !== "set"), after: log.slice(at).filter(one => one !== "set"), description: await outcome(() => pc.localDescription?.type)});
  }
  return seen;
});

check("events: many connections", async () => {
  const pcs = Array.from({length: 12}, () => newOfferer());
  const logs = pcs.map(() => []);
  pcs.forEach((pc, i) => pc.onicecandidate = ({candidate, target}) => logs[i].push(target === pc ? candidate ? candidate.candidate ? "candidate" : "empty" : null : "of another"));
  await Promise.all(pcs.map(pc => gather(pc)));
  const seen = pcs.map((pc, i) => [logs[i], pc.iceGatheringState, candidatesIn(pc.localDescription).length === logs[i].filter(one => one === "candidate").length]);
  pcs.forEach(pc => pc.close());
  return seen;
}, {alone: true});

check("events: restart of ICE", async () => {
  const a = new RTCPeerConnection(), b = new RTCPeerConnection();
  const first = gathered(a);
  const connected = await connect(a, b);
  await within(3000, first); // a connection may be there before the last candidate
  const before = a.localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1];
  const log = [];
  a.onnegotiationneeded = () => log.push("negotiationneeded");
  a.onicecandidate = ({candidate}) => log.push(candidate ? candidate.candidate ? ["candidate", candidate.usernameFragment === before] : "empty" : null);
  a.onicegatheringstatechange = () => log.push(a.iceGatheringState);
  const done = gathered(a);
  a.restartIce();
  await a.setLocalDescription();
  await done;
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  await a.setRemoteDescription(b.localDescription);
  const after = a.localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1];
  await sleep(300);
  const seen = {connected, log, other: after !== before, candidates: candidatesIn(a.localDescription).length, state: a.connectionState};
  a.close();
  b.close();
  return seen;
});

check("events: errors of candidates", async () => {
  const pc = newOfferer(RTCPeerConnection, {iceServers: [{urls: "stun:127.0.0.1:3479"}]});
  const log = [];
  pc.onicecandidateerror = event => log.push([event.type, chainOf(event), event.errorCode, event.errorText, event.url, typeof event.address, typeof event.port]);
  const heard = [];
  pc.onicecandidate = ({candidate}) => heard.push(candidate ? candidate.type ?? "empty" : null);
  const done = gathered(pc);
  await pc.setLocalDescription();
  const ended = await within(2500, done.then(() => "complete"));
  pc.close();
  return {ended, kinds: [...new Set(log.map(one => JSON.stringify(one)))].sort(), heard: ended === "late" ? "some" : heard};
});

check("events: negotiation", async () => {
  const pc = new RTCPeerConnection();
  const log = [];
  pc.onnegotiationneeded = async ({isTrusted, type}) => {
    log.push([type, isTrusted, pc.signalingState]);
  };
  pc.createDataChannel("x");
  await sleep(50);
  pc.addTransceiver("audio", {direction: "recvonly"});
  await sleep(50);
  await gather(pc);
  log.push(candidatesIn(pc.localDescription).length, shapeOfDescription(pc.localDescription).sdp.filter(line => /^[mc]=/.test(line)));
  pc.close();
  return log;
});
