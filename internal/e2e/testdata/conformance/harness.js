"use strict";
// What the checks have in common. A check yields an observation: any value of JSON. Two runs are compared by their
// observations, so what differs from run to run by itself (names, ports, passwords) has a placeholder in them, the same
// for the same within one check.

const checks = [];
const collected = {};  // all names that a check met, by its title

// check adds a check. One that is alone runs beside no other.
function check(title, observe, {alone = false} = {}) {
  checks.push({title, observe, alone});
}

const namePattern = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12,38}\.local\b/gi;
const markPattern = /\u27e6([a-z]+):([^\u27e7]*)\u27e7/g;

// mark gives a value a placeholder of its kind.
const mark = (kind, value) => `\u27e6${kind}:${value}\u27e7`;

// scrub puts placeholders into all strings of an observation.
function scrub(title, observation) {
  const tables = {};
  const placeholder = (kind, value) => {
    const table = tables[kind] ??= new Map();
    if (!table.has(value)) {
      table.set(value, `<${kind} ${table.size + 1}>`);
    }
    return table.get(value);
  };
  const text = string => string
    .replace(namePattern, name => {
      (collected[title] ??= new Set()).add(name);
      return placeholder("name", name);
    })
    .replace(markPattern, (_, kind, value) => placeholder(kind, value));
  const walk = value => {
    if (typeof value === "string") {
      return text(value);
    }
    if (Array.isArray(value)) {
      return value.map(walk);
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, member]) => [text(key), walk(member)]));
    }
    return value === undefined ? "undefined" : value;
  };
  return walk(observation);
}

const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const within = (milliseconds, promise, late = "late") => Promise.race([promise, sleep(milliseconds).then(() => late)]);

// observeAll runs one part in so many of the checks whose titles contain a word, and resolves to the observations.
async function observeAll(word = "", part = 0, parts = 1) {
  const observations = [];
  const run = async ({title, observe}) => {
    const began = performance.now();
    let value;
    try {
      value = await within(20000, observe());
    } catch (error) {
      value = {failed: String(error)};
    }
    observations.push({title, value: scrub(title, value), took: performance.now() - began});
  };
  const chosen = checks.filter(({title}, i) => title.includes(word) && i % parts === part);
  const crowd = chosen.filter(({alone}) => !alone);
  const workers = Array.from({length: 6}, async () => {
    while (crowd.length > 0) {
      await run(crowd.shift());
    }
  });
  await Promise.all(workers);
  for (const one of chosen.filter(({alone}) => alone)) {
    await run(one);
  }
  observations.sort((a, b) => a.title < b.title ? -1 : 1);
  return {observations, names: Object.fromEntries(Object.entries(collected).map(([title, set]) => [title, [...set]]))};
}

// describe tells of any value what a script can.
function describe(value) {
  switch (typeof value) {
  case "undefined": return "undefined";
  case "function": return describeFunction(value);
  case "symbol": return String(value);
  case "bigint": return `${value}n`;
  case "object": break;
  case "string": return value.includes("\r\n") ? shapeOfSDP(value) : shapeOfCandidate(value);
  default: return value;
  }
  if (value === null) {
    return null;
  }
  if (Array.isArray(value)) {
    return value.map(describe);
  }
  const description = {tag: Object.prototype.toString.call(value), chain: chainOf(value), own: ownNames(value)};
  if (value instanceof RTCSessionDescription || value instanceof RTCIceCandidate) {
    description.json = shapeOfJSON(value.toJSON());
  }
  return description;
}

// until resolves when something is so, or after a time.
const until = (isSo, limit = 3000) => within(limit, new Promise(resolve => (function look() { isSo() ? resolve(true) : setTimeout(look, 20); })()));

const ownNames = object => Reflect.ownKeys(object).map(String);

function chainOf(object) {
  const chain = [];
  for (let p = Object.getPrototypeOf(object); p; p = Object.getPrototypeOf(p)) {
    chain.push(p.constructor?.name ?? "without constructor");
  }
  return chain;
}

function shapeOfJSON(json) {
  const shape = {};
  for (const [key, value] of Object.entries(json)) {
    shape[key] = key === "usernameFragment" && value ? mark("ufrag", value) : describe(value);
  }
  return shape;
}

function describeFunction(f) {
  if (f === undefined) {
    return "undefined";
  }
  const description = {
    name: f.name, length: f.length, own: ownNames(f).sort(), text: Function.prototype.toString.call(f),
    plain: Object.getPrototypeOf(f) === Function.prototype, prototype: "prototype" in f,
  };
  try {
    Reflect.construct(Object, [], f);
    description.constructs = true;
  } catch {
    description.constructs = false;
  }
  return description;
}

function describeProperty(object, key) {
  const property = Reflect.getOwnPropertyDescriptor(object, key);
  if (!property) {
    return "absent";
  }
  const {enumerable, configurable, writable} = property;
  const description = {keys: Object.keys(property), enumerable, configurable, writable: writable ?? "undefined"};
  for (const part of ["get", "set", "value"]) {
    if (part in property) {
      description[part] = typeof property[part] === "function" ? describeFunction(property[part]) : describe(property[part]);
    }
  }
  return description;
}

function describeError(error) {
  if (!(error instanceof Object)) {
    return {thrown: describe(error)};
  }
  return {
    name: error.name, message: error.message, code: error.code ?? "none",
    ours: error.constructor === globalThis[error.constructor?.name], tag: Object.prototype.toString.call(error),
  };
}

// outcome calls f and tells what came of it.
async function outcome(f, limit = 300) {
  let value;
  try {
    value = f();
  } catch (error) {
    return {threw: describeError(error)};
  }
  if (!(value instanceof Promise)) {
    return {returned: describe(value)};
  }
  const ours = Object.getPrototypeOf(value) === Promise.prototype;
  return within(limit, value.then(
    result => ({ours, resolved: describe(result)}),
    error => ({ours, rejected: describeError(error)})), {ours, pending: true});
}

// shapeOfCandidate gives what is random in a candidate placeholders.
function shapeOfCandidate(line) {
  return line.replace(/(candidate:)(\S+)( \d+ \S+ \d+ \S+ )(\d+)/g, (_, start, foundation, middle, port) =>
    start + mark("foundation", foundation) + middle + (port === "9" ? port : mark("port", port)))
    .replace(/ ufrag (\S+)/g, (_, ufrag) => ` ufrag ${mark("ufrag", ufrag)}`);
}

// shapeOfSDP returns the lines of a description.
function shapeOfSDP(sdp) {
  return sdp.split("\r\n").map(line => shapeOfCandidate(line)
    .replace(/^(o=\S+ )\d+/, (_, start) => start + mark("session", ""))
    .replace(/^(a=ice-ufrag:)(.*)/, (_, start, value) => start + mark("ufrag", value))
    .replace(/^(a=ice-pwd:)(.*)/, (_, start, value) => start + mark("pwd", value))
    .replace(/^(a=fingerprint:\S+ )(.*)/, (_, start, value) => start + mark("fingerprint", value))
    .replace(/^(m=\w+ )(\d+)( UDP)/, (_, start, port, end) => start + (port === "9" || port === "0" ? port : mark("port", port)) + end)
    .replace(/^(a=rtcp:)(\d+)/, (_, start, port) => start + (port === "9" ? port : mark("port", port)))
    .replace(/^(a=msid(?:-semantic)?:)(.*[0-9a-f]{8}-.*)/, (_, start, value) => start + mark("msid", value))
    .replace(/^(a=ssrc(?:-group)?:)(.*)/, start => start));
}

const candidatesIn = description => (description?.sdp ?? "").split("\r\n").filter(line => line.startsWith("a=candidate:"));

// shapeOfDescription tells all of a description.
const shapeOfDescription = description => description &&
  {tag: Object.prototype.toString.call(description), type: description.type, sdp: shapeOfSDP(description.sdp)};

// gathered resolves once a connection has told that no further candidate comes.
function gathered(pc) {
  return new Promise(resolve => pc.addEventListener("icecandidate", ({candidate}) => candidate ?? setTimeout(resolve, 30)));
}

// newOfferer returns a connection that has something to gather for.
function newOfferer(Connection = RTCPeerConnection, ...parameters) {
  const pc = new Connection(...parameters);
  pc.createDataChannel("candgw");
  return pc;
}

// gather sets a local description and waits for the last candidate.
async function gather(pc) {
  const done = gathered(pc);
  await pc.setLocalDescription(await pc.createOffer());
  await done;
  return pc;
}

// trickleTo passes candidates on as they come.
function trickleTo(from, to, form = candidate => candidate) {
  let described, known = new Promise(resolve => described = resolve);
  from.addEventListener("icecandidate", async ({candidate}) => {
    await known;
    await to.addIceCandidate(form(candidate)).catch(() => {});
  });
  return described;
}

// connect has two connections of this page find each other, and tells whether a message passes.
async function connect(a, b, {form, describeAs = description => description, limit = 8000} = {}) {
  const channel = a.createDataChannel("loopback");
  const echoed = new Promise(resolve => {
    b.addEventListener("datachannel", ({channel}) => channel.label === "loopback" && (channel.onmessage = ({data}) => channel.send(data + "!")));
    channel.addEventListener("open", () => channel.send("hello"));
    channel.addEventListener("message", ({data}) => resolve(data));
  });
  const toB = trickleTo(a, b, form), toA = trickleTo(b, a, form);
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(describeAs(a.localDescription));
  toB();
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(describeAs(b.localDescription));
  toA();
  return within(limit, echoed, "no connection");
}

// Peer is what the tests ask whether a page can gather candidates yet.
class Peer {
  static async gathers(milliseconds) {
    const pc = newOfferer();
    const complete = await within(milliseconds, gather(pc).then(() => true), false);
    pc.close();
    return complete;
  }
}
