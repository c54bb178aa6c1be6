"use strict";
// What of RTCPeerConnection and its kin can be seen without making a connection.

const interfaces = [
  "RTCPeerConnection", "webkitRTCPeerConnection", "mozRTCPeerConnection", "RTCSessionDescription", "mozRTCSessionDescription",
  "RTCIceCandidate", "mozRTCIceCandidate", "RTCPeerConnectionIceEvent", "RTCPeerConnectionIceErrorEvent", "RTCIceTransport", "RTCStatsReport",
  "RTCDtlsTransport", "RTCSctpTransport", "RTCRtpSender", "RTCRtpReceiver", "RTCRtpTransceiver", "RTCDataChannel",
  "RTCDataChannelEvent", "RTCTrackEvent", "RTCCertificate", "EventTarget", "Event", "CustomEvent",
];
for (const name of interfaces) {
  check(`surface: ${name}`, () => {
    const of = globalThis[name];
    if (!of) {
      return {global: describeProperty(globalThis, name), in: name in globalThis};
    }
    const all = object => Object.fromEntries(Reflect.ownKeys(object).map(key => [String(key), describeProperty(object, key)]));
    const {prototype} = of;
    return {
      global: describeProperty(globalThis, name), order: ownNames(of), static: all(of), prototypeOrder: ownNames(prototype), prototype: all(prototype),
      chain: chainOf(of.prototype), constructor: prototype.constructor === of, tag: Object.prototype.toString.call(prototype),
      extensible: [Object.isExtensible(of), Object.isExtensible(prototype)], string: String(of),
    };
  });
}

check("surface: others' prototypes", () => {
  const all = object => Object.fromEntries(Reflect.ownKeys(object).map(key => [String(key), describeProperty(object, key)]));
  return Object.fromEntries([Function, Promise, Map, WeakMap, Array, Reflect, JSON, Window, Document].map(of =>
    [of.name ?? String(of), {own: all(of), prototype: of.prototype && of !== Document && of !== Window ? all(of.prototype) : "not asked"}]));
});

check("surface: globals", () => ({
  own: ownNames(globalThis).sort(), chain: chainOf(globalThis), enumerable: Object.keys(globalThis).sort(), // Firefox makes them as they are used
  document: ownNames(document), root: ownNames(document.documentElement), attributes: document.documentElement.getAttributeNames(),
  elements: [...document.querySelectorAll("*")].map(element => element.tagName),
}));

check("surface: one constructor", () => ({
  webkit: globalThis.webkitRTCPeerConnection === RTCPeerConnection,
  moz: globalThis.mozRTCPeerConnection === RTCPeerConnection,
  parent: Object.getPrototypeOf(RTCPeerConnection) === EventTarget,
  prototypeParent: Object.getPrototypeOf(RTCPeerConnection.prototype) === EventTarget.prototype,
}));

check("surface: instances", async () => {
  const pc = newOfferer();
  const seen = {
    pc: describe(pc), constructor: pc.constructor === RTCPeerConnection, of: pc instanceof RTCPeerConnection, target: pc instanceof EventTarget,
    parts: Object.fromEntries(["sctp", "canTrickleIceCandidates", "connectionState", "currentLocalDescription", "currentRemoteDescription",
      "iceConnectionState", "iceGatheringState", "idpErrorInfo", "idpLoginUrl", "localDescription", "onicecandidate", "peerIdentity",
      "pendingLocalDescription", "pendingRemoteDescription", "remoteDescription", "signalingState"].map(key => [key, describe(pc[key])])),
    enumerated: (() => { const keys = []; for (const key in pc) { keys.push(key); } return keys; })(),
    json: JSON.stringify(pc), string: String(pc), configuration: JSON.stringify(pc.getConfiguration?.()),
  };
  pc.expando = 1;
  seen.expando = [pc.expando, ownNames(pc)];
  Object.defineProperty(pc, "localDescription", {value: "mine", configurable: true});
  seen.shadowed = [pc.localDescription, delete pc.localDescription, pc.localDescription];
  seen.frozen = Object.isFrozen(Object.freeze(pc));
  pc.close();
  return seen;
});

// describeUse calls something with every kind of odd argument.
const oddities = {
  nothing: () => [], undefined: () => [undefined], null: () => [null], number: () => [42], text: () => ["text"], empty: () => [{}], symbol: () => [Symbol.iterator],
  array: () => [[]], function: () => [() => {}], two: () => [null, null], three: () => [1, 2, 3],
  bad: () => [{type: "bad", sdp: 1}], rollback: () => [{type: "rollback"}], offer: () => [{type: "offer", sdp: "nonsense"}], answer: () => [{type: "answer", sdp: ""}],
  throws: () => [{get sdp() { throw new RangeError("sdp"); }, get type() { throw new RangeError("type"); }, get candidate() { throw new RangeError("candidate"); }}],
  string: () => [{toString() { throw new RangeError("string"); }}],
  candidate: () => [{candidate: "candidate:1 1 udp 1 nonsense"}], mid: () => [{candidate: "", sdpMid: "7"}], index: () => [{candidate: "", sdpMLineIndex: 1e9}],
  callbacks: () => [() => {}, () => {}], wrong: () => [1, () => {}, () => {}],
};

// In the list are all that an RTCPeerConnection has.
const methods = (of, ...without) => Reflect.ownKeys(of.prototype).filter(key => typeof key === "string" && key !== "constructor" &&
  !without.includes(key) && typeof Reflect.getOwnPropertyDescriptor(of.prototype, key).value === "function");
const accessors = of => Reflect.ownKeys(of.prototype).filter(key => Reflect.getOwnPropertyDescriptor(of.prototype, key).get);

for (const method of methods(RTCPeerConnection, "generateCertificate")) {
  check(`arguments: ${method}`, async () => {
    const seen = {};
    const setsState = /^(close|rollback|set.*Description)$/.test(method);
    let pc = newOfferer();
    for (const [title, make] of Object.entries(oddities)) {
      if (setsState) {
        pc.close();
        pc = newOfferer(); // browsers do not make very many for one page, so the others share one
      }
      seen[title] = await outcome(() => pc[method](...make()), 8000); // the first offer of a page takes long
    }
    pc.close();
    const closed = Object.entries(oddities).map(async ([title, make]) => [`${title}, closed`, await outcome(() => pc[method](...make()), 700)]);
    return {...seen, ...Object.fromEntries(await Promise.all(closed))};
  });
}

check("arguments: constructors", async () => {
  const seen = {};
  const configurations = {
    servers: () => [{iceServers: "x"}], bogus: () => [{iceServers: [{urls: "bogus:"}]}], none: () => [{iceServers: []}], policy: () => [{iceTransportPolicy: "bad"}],
    pool: () => [{iceCandidatePoolSize: 300}], bundle: () => [{bundlePolicy: "max-bundle"}], certificates: () => [{certificates: [1]}], extra: () => [{}, {optional: []}],
    event: () => ["icecandidate"], full: () => ["icecandidate", {candidate: null, bubbles: true}], other: () => ["icecandidate", {candidate: 7}],
    parts: () => [{candidate: "candidate:1 1 udp 2113937151 a.local 5 typ host", sdpMid: "0"}],
  };
  for (const name of interfaces.filter(name => globalThis[name])) {
    for (const [title, make] of Object.entries({...oddities, ...configurations})) {
      const of = globalThis[name];
      if (["webkitRTCPeerConnection", "EventTarget", "Event", "CustomEvent", "RTCTrackEvent"].includes(name)) {
        continue;
      }
      seen[`new ${name}: ${title}`] = await outcome(() => {
        const made = new of(...make());
        made.close?.();
        return made;
      });
    }
    seen[`${name}()`] = await outcome(() => globalThis[name]());
    seen[`${name}.call(it)`] = await outcome(() => globalThis[name].call(Object.create(globalThis[name].prototype)));
  }
  return seen;
});

// Who is asked is not who should be.
const strangers = {
  undefined: () => undefined, null: () => null, number: () => 1, object: () => ({}), prototype: of => of.prototype, constructor: of => of,
  heir: of => Object.create(of.prototype), window: () => globalThis, event: () => new Event("x"), candidate: () => new RTCIceCandidate({candidate: "", sdpMid: "0"}),
  proxy: () => new Proxy(oneConnection(), {}), heirOfOne: () => Object.create(oneConnection()),
};
const oneConnection = () => oneConnection.made ??= new RTCPeerConnection();
for (const of of [RTCPeerConnection, RTCIceCandidate, RTCSessionDescription, RTCPeerConnectionIceEvent, globalThis.RTCIceTransport, RTCStatsReport, EventTarget].filter(Boolean)) {
  check(`strangers: ${of.name}`, async () => {
    const seen = {};
    for (const [title, make] of Object.entries(strangers)) {
      for (const key of accessors(of)) {
        const {get, set} = Reflect.getOwnPropertyDescriptor(of.prototype, key);
        seen[`get ${key} of ${title}`] = await outcome(() => get.call(make(of)));
        if (set && !(of === EventTarget)) {
          seen[`set ${key} of ${title}`] = await outcome(() => set.call(make(of), null));
        }
      }
      for (const key of methods(of, "constructor", "generateCertificate")) {
        if (title === "window" && of === EventTarget) {
          continue;
        }
        seen[`${key} of ${title}`] = await outcome(() => of.prototype[key].call(make(of)), 100);
        seen[`${key} of ${title} with arguments`] = await outcome(() => of.prototype[key].call(make(of), {}, () => {}, () => {}), 100);
      }
    }
    return seen;
  });
}

check("arguments: setters", async () => {
  const seen = {};
  const pc = newOfferer();
  for (const key of accessors(RTCPeerConnection)) {
    for (const [title, value] of Object.entries({text: "text", number: 1, object: {}, handler: {handleEvent() {}}, function: () => {}, null: null, undefined, symbol: Symbol.iterator})) {
      seen[`${key} = ${title}`] = await outcome(() => {
        pc[key] = value;
        return [pc[key] === value, pc[key]];
      });
    }
  }
  pc.close();
  return seen;
});

// What is read of the page's objects, in which order, and how often.
const spied = (log, target, path = "") => new Proxy(target, {
  get(of, key, receiver) {
    log.push(path + String(key));
    const value = Reflect.get(of, key, receiver);
    return value && typeof value === "object" ? spied(log, value, `${path}${String(key)}.`) : value;
  },
  has(of, key) { log.push(`has ${path}${String(key)}`); return Reflect.has(of, key); },
  ownKeys(of) { log.push(`keys ${path}`); return Reflect.ownKeys(of); },
  getOwnPropertyDescriptor(of, key) { log.push(`own ${path}${String(key)}`); return Reflect.getOwnPropertyDescriptor(of, key); },
  getPrototypeOf(of) { log.push(`prototype ${path}`); return Reflect.getPrototypeOf(of); },
});
check("arguments: what is read", async () => {
  const seen = {};
  const watch = async (title, target, use) => {
    const log = [];
    seen[title] = {outcome: await outcome(() => use(spied(log, target)), 1000), log};
  };
  const pc = newOfferer(), other = newOfferer();
  await watch("configuration", {iceServers: [{urls: "stun:127.0.0.1:9"}], bundlePolicy: "balanced"}, init => new RTCPeerConnection(init).close());
  await watch("setConfiguration", {iceServers: []}, init => pc.setConfiguration(init));
  await watch("createOffer", {iceRestart: false}, init => pc.createOffer(init));
  const offer = await pc.createOffer();
  await watch("RTCSessionDescription", {type: "offer", sdp: ""}, init => new RTCSessionDescription(init));
  await watch("RTCIceCandidate", {candidate: "candidate:1 1 udp 2113937151 a.local 5 typ host", sdpMid: "0"}, init => new RTCIceCandidate(init));
  await watch("setLocalDescription", {type: offer.type, sdp: offer.sdp}, init => pc.setLocalDescription(init));
  await watch("setRemoteDescription", {type: offer.type, sdp: offer.sdp}, init => other.setRemoteDescription(init));
  await watch("addIceCandidate", {candidate: "", sdpMid: "0"}, init => other.addIceCandidate(init));
  const options = {once: true, capture: false};
  await watch("addEventListener", options, init => pc.addEventListener("icecandidate", () => {}, init));
  await watch("removeEventListener", options, init => pc.removeEventListener("icecandidate", () => {}, init));
  await watch("listener", {handleEvent() {}}, listener => pc.addEventListener("icecandidate", listener));
  await watch("own event", {candidate: null}, init => new RTCPeerConnectionIceEvent("icecandidate", init));
  pc.close();
  other.close();
  return seen;
});

check("classes: subclasses", async () => {
  const log = [];
  class Loud extends RTCPeerConnection {
    #hidden = 7;
    field = "field";
    constructor(...parameters) { super(...parameters); log.push(`new ${new.target.name}`); }
    async createOffer(...parameters) { log.push("createOffer"); return super.createOffer(...parameters); }
    setLocalDescription(...parameters) { log.push("setLocalDescription"); return super.setLocalDescription(...parameters); }
    addEventListener(type, ...rest) { log.push(`addEventListener ${type}`); return super.addEventListener(type, ...rest); }
    dispatchEvent(event) { log.push(`dispatchEvent ${event.type}`); return super.dispatchEvent(event); }
    get localDescription() { log.push("localDescription"); return super.localDescription; }
    get iceGatheringState() { log.push("iceGatheringState"); return super.iceGatheringState; }
    get hidden() { return this.#hidden; }
    static get [Symbol.species]() { log.push("species"); return Array; }
    static helper() { return this === Loud; }
  }
  class Louder extends Loud {}
  const pc = new Louder({iceServers: []});
  let told = 0;
  pc.onicecandidate = function({candidate}) { told += candidate && candidate.candidate ? 1 : 0; log.push(this === pc ? "told" : "wrong this"); };
  pc.createDataChannel("candgw");
  await gather(pc);
  const shown = candidatesIn(pc.localDescription).length;
  log.push("end");
  const seen = {
    log, same: told === shown, hidden: pc.hidden, field: pc.field, helper: Louder.helper(), own: ownNames(pc), chain: chainOf(pc), name: Louder.name,
    of: [pc instanceof Louder, pc instanceof RTCPeerConnection, RTCPeerConnection.prototype.isPrototypeOf(pc), pc.constructor === Louder], static: typeof Louder.generateCertificate,
  };
  pc.close();
  return seen;
});

check("classes: without class", async () => {
  const seen = {};
  const made = async (title, make) => {
    seen[title] = await outcome(() => {
      const pc = make();
      const own = [chainOf(pc), pc instanceof RTCPeerConnection, Object.prototype.toString.call(pc), pc.constructor.name];
      pc.close?.();
      return own;
    });
  };
  function Old(configuration) { return Reflect.construct(RTCPeerConnection, [configuration], new.target ?? Old); }
  Old.prototype = Object.create(RTCPeerConnection.prototype, {constructor: {value: Old}, mine: {value: 1}});
  await made("function", () => new Old());
  await made("function without new", () => Old());
  function Applied() { RTCPeerConnection.apply(this, arguments); }
  Applied.prototype = Object.create(RTCPeerConnection.prototype);
  await made("applied", () => new Applied());
  await made("construct", () => Reflect.construct(RTCPeerConnection, []));
  await made("construct Object", () => Reflect.construct(RTCPeerConnection, [], Object));
  await made("construct Array's heir", () => Reflect.construct(RTCPeerConnection, [], class extends Array {}));
  await made("no prototype", () => { function F() {} F.prototype = 5; return Reflect.construct(RTCPeerConnection, [], F); });
  await made("construct a lambda", () => Reflect.construct(RTCPeerConnection, [], () => {}));
  await made("construct Object by it", () => Reflect.construct(Object, [], RTCPeerConnection));
  await made("bound", () => new (RTCPeerConnection.bind(null, {iceServers: []}))());
  await made("proxy", () => new (new Proxy(RTCPeerConnection, {}))());
  await made("proxy that constructs", () => new (new Proxy(RTCPeerConnection, {construct: (of, parameters, target) => Reflect.construct(of, parameters, target)}))());
  await made("instance of", () => RTCPeerConnection[Symbol.hasInstance](new RTCPeerConnection()));
  await made("extends null", () => new class extends (class X extends RTCPeerConnection {}) {}());
  const reads = [];
  await made("new.target is read", () => Reflect.construct(RTCPeerConnection, [], new Proxy(class extends RTCPeerConnection {}, {get: (of, key) => { reads.push(String(key)); return of[key]; }})));
  return {...seen, reads};
});

check("classes: the page's own changes", async () => {
  // Libraries of adaptation, as webrtc-adapter, wrap what they find.
  const seen = {};
  const native = RTCPeerConnection.prototype.createOffer;
  RTCPeerConnection.prototype.createOffer = function(...parameters) { seen.called = (seen.called ?? 0) + 1; return native.apply(this, parameters); };
  const {get} = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, "localDescription");
  Object.defineProperty(RTCPeerConnection.prototype, "localDescription", {configurable: true, enumerable: true, get() { seen.read = true; return get.call(this); }});
  const original = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = function(...parameters) { seen.made = true; return new original(...parameters); };
  globalThis.RTCPeerConnection.prototype = original.prototype;
  const pc = await gather(newOfferer());
  seen.description = shapeOfDescription(pc.localDescription);
  pc.close();
  seen.of = [pc instanceof globalThis.RTCPeerConnection, pc instanceof original];
  globalThis.RTCPeerConnection = original;
  RTCPeerConnection.prototype.createOffer = native;
  Object.defineProperty(RTCPeerConnection.prototype, "localDescription", {configurable: true, enumerable: true, get});
  seen.restored = [RTCPeerConnection.prototype.createOffer === native, delete globalThis.RTCPeerConnection, typeof globalThis.RTCPeerConnection];
  Object.defineProperty(globalThis, "RTCPeerConnection", {value: original, configurable: true, enumerable: false, writable: true});
  return seen;
}, {alone: true});

check("surface: stacks", async () => {
  const stacks = [];
  await RTCPeerConnection.prototype.createOffer.call({}).catch(error => stacks.push(error.stack));
  try { RTCPeerConnection(); } catch (error) { stacks.push(error.stack); }
  const pc = newOfferer();
  const heard = new Promise(resolve => pc.onicecandidate = () => resolve(new Error("here").stack));
  pc.setLocalDescription();
  stacks.push(await heard);
  pc.close();
  return stacks.map(stack => /extension:\/\//.test(stack) ? "tells an extension" : "tells none");
});
