"use strict";
// Transports, statistics, and windows within the window.

check("transports", async () => {
  const a = new RTCPeerConnection(), b = new RTCPeerConnection();
  const echo = await connect(a, b);
  await sleep(300);
  const transport = a.sctp?.transport?.iceTransport;
  const remoteParameters = transport?.getRemoteParameters?.();
  if (!transport) {
    a.close();
    b.close();
    return {echo, transport: "none"};
  }
  const list = async name => outcome(() => typeof transport[name] === "function" ? transport[name]().length > 0 : "none");
  const seen = {echo, same: a.sctp.transport.iceTransport === transport, described: describe(transport), dtls: a.sctp.transport.state, state: transport.state, gathering: transport.gatheringState, role: transport.role, component: transport.component};
  seen.lists = {local: await list("getLocalCandidates"), remote: await list("getRemoteCandidates")};
  if (transport.getLocalCandidates) {
    const local = transport.getLocalCandidates();
    const shown = candidatesIn(a.localDescription).map(line => line.slice(2));
    seen.local = local.map(describeCandidate);
    seen.localAgain = [transport.getLocalCandidates() === local, transport.getLocalCandidates()[0] === local[0]];
    seen.known = local.every(({candidate}) => shown.some(line => line.split(" ")[4] === candidate.split(" ")[4]));
    const from = new Set(candidatesIn(b.localDescription).map(line => line.split(" ")[4]));
    seen.remote = [transport.getRemoteCandidates().map(candidate => [candidate.type, candidate.protocol, from.has(candidate.address)]).sort()];
  }
  const pair = transport.getSelectedCandidatePair?.();
  if (pair) {
    seen.pair = {described: describe(pair), same: transport.getSelectedCandidatePair() === pair, local: [pair.local?.type, Object.keys(Reflect.getOwnPropertyDescriptor(pair, "local") ?? {}), chainOf(pair.local), Object.keys(pair.local.toJSON())],
      localKnown: candidatesIn(a.localDescription).some(line => line.includes(pair.local.address))};
  }
  const parameters = transport.getLocalParameters?.();
  seen.parameters = parameters && [ownNames(parameters), a.localDescription.sdp.includes(`a=ice-ufrag:${parameters.usernameFragment}`), a.localDescription.sdp.includes(parameters.password)];
  seen.remoteParameters = remoteParameters ? ownNames(remoteParameters) : String(remoteParameters);
  a.close();
  b.close();
  seen.after = [transport.state, transport.gatheringState, (await outcome(() => transport.getLocalCandidates?.().length))];
  return seen;
});

// describeStats tells what kinds of statistics there are and what those of candidates hold.
function describeStats(report) {
  const byType = {};
  for (const stats of report.values()) {
    (byType[stats.type] ??= new Set()).add(Object.keys(stats).sort().join(" "));
  }
  return Object.fromEntries(Object.entries(byType).filter(([type]) => /candidate$|transport|certificate/.test(type)).map(([type, keys]) => [type, [...keys].sort()]).sort());
}

check("statistics", async () => {
  const pc = newOfferer();
  pc.addTransceiver("audio");
  await gather(pc);
  const report = await pc.getStats();
  const seen = {described: describe(report), kinds: describeStats(report), size: report.size === [...report].length, again: (await pc.getStats()) !== report};
  const [firstKey, first] = report.entries().next().value;
  const same = (...values) => values.map(value => value === first || JSON.stringify(value) === JSON.stringify(first));
  seen.map = {
    get: same(report.get(firstKey), report.get(firstKey)), identity: report.get(firstKey) === report.get(firstKey), has: [report.has(firstKey), report.has("none"), report.get("none")],
    keys: [...report.keys()].length === report.size, values: same([...report.values()][0]), entries: same([...report.entries()][0][1]), iterator: same([...report[Symbol.iterator]()][0][1]),
    sameFunction: RTCStatsReport.prototype[Symbol.iterator] === RTCStatsReport.prototype.entries, iterators: [report.keys(), report.values(), report.entries()].map(one => [Object.prototype.toString.call(one), describe(one), describe(one.next().done)]),
    chains: chainOf(first), own: ownNames(report), firstOwn: Reflect.getOwnPropertyDescriptor(first, "id"), noWrites: ["set", "delete", "clear"].map(key => typeof report[key]), json: JSON.stringify(report),
    fromMap: Object.prototype.toString.call(new Map(report)), fromEntries: Object.keys(Object.fromEntries(report)).length === report.size,
    mapsGet: await outcome(() => Map.prototype.get.call(report, firstKey)), cloned: await outcome(() => structuredClone(report)),
  };
  seen.map.firstOwn.value = typeof seen.map.firstOwn.value;
  const each = [];
  const that = {};
  const returned = report.forEach(function(value, key, whole) { each.push([this === that, key === value.id, whole === report, arguments.length]); }, that);
  seen.each = [each.length === report.size, [...new Set(each.map(String))], String(returned)];
  seen.eachWithout = await outcome(() => report.forEach());
  const unbound = [];
  report.forEach(function() { unbound.push(this === undefined); });
  seen.unbound = [...new Set(unbound)];
  first.type = "changed";
  first.extra = 1;
  seen.changed = [report.get(firstKey).type, report.get(firstKey).extra, [...report.values()][0].type];
  report.extra = 1;
  seen.extra = report.extra;
  const candidates = [...report.values()].filter(({type}) => type === "local-candidate");
  seen.candidates = candidates.map(one => [one.address ?? "none", one.ip ?? "none", one.protocol, one.candidateType, one.relatedAddress ?? "none", "foundation" in one, one.usernameFragment ? mark("ufrag", one.usernameFragment) : "none", one.url ?? "none"])
    .sort((a, b) => JSON.stringify(a.slice(2)) < JSON.stringify(b.slice(2)) ? -1 : 1);
  const shown = candidatesIn(pc.localDescription).join("\n");
  seen.known = candidates.every(({address}) => !address || shown.includes(address));
  seen.foundations = candidates.every(({foundation, protocol}) => !foundation || protocol === "tcp" || shown.includes(`candidate:${foundation} `));
  const [sender] = pc.getSenders(), [receiver] = pc.getReceivers();
  seen.sender = describe(await sender.getStats());
  seen.receiver = describe(await receiver.getStats());
  seen.selector = [await outcome(() => pc.getStats(null), 2000), await outcome(() => pc.getStats(undefined), 2000), await outcome(() => pc.getStats(receiver.track), 2000), await outcome(() => pc.getStats({}), 2000)];
  pc.close();
  seen.closed = await outcome(() => pc.getStats(), 2000);
  return seen;
});

check("statistics of a connection", async () => {
  const a = new RTCPeerConnection(), b = new RTCPeerConnection();
  const echo = await connect(a, b);
  await sleep(300);
  const report = await a.getStats();
  const stats = [...report.values()];
  const shown = candidatesIn(a.localDescription).join("\n") + candidatesIn(b.localDescription).join("\n");
  const pair = stats.find(({type, nominated, state}) => type === "candidate-pair" && nominated && state === "succeeded");
  const seen = {echo, known: stats.filter(({type}) => /(local|remote)-candidate/.test(type)).every(({address}) => !address || address === "(redacted)" || shown.includes(address)),
    pair: pair && [report.has(pair.localCandidateId), report.has(pair.remoteCandidateId), report.get(pair.localCandidateId)?.type, report.get(pair.remoteCandidateId)?.type, describeStats(new Map([[1, report.get(pair.localCandidateId)]]))]};
  a.close();
  b.close();
  return seen;
});

// witness tells how RTCPeerConnection is in another window.
async function witness(other) {
  const Connection = other.RTCPeerConnection;
  if (!Connection) {
    return "none";
  }
  const seen = {
    global: describeProperty(other, "RTCPeerConnection"), different: Connection !== RTCPeerConnection, one: other.webkitRTCPeerConnection === Connection, text: Function.prototype.toString.call(Connection),
    createOffer: describeProperty(Connection.prototype, "createOffer"), localDescription: describeProperty(Connection.prototype, "localDescription"), order: ownNames(Connection.prototype),
  };
  const pc = new Connection();
  seen.of = [pc instanceof Connection, pc instanceof RTCPeerConnection, pc.constructor === Connection];
  pc.createDataChannel("candgw");
  const told = [];
  pc.addEventListener("icecandidate", ({candidate, constructor}) => told.push([candidate && describe(candidate.candidate), candidate && candidate instanceof other.RTCIceCandidate, constructor === other.RTCPeerConnectionIceEvent]));
  const done = gathered(pc);
  const offering = pc.createOffer();
  seen.promise = offering instanceof other.Promise;
  await pc.setLocalDescription(await offering);
  seen.gathered = await within(6000, done.then(() => "complete"));
  seen.told = told;
  seen.shown = shapeOfDescription(pc.localDescription);
  pc.close();
  return seen;
}

function addFrame(change = () => {}) {
  const frame = document.createElement("iframe");
  change(frame);
  document.body.append(frame);
  return frame;
}
const loaded = frame => new Promise(resolve => frame.addEventListener("load", resolve, {once: true}));

check("frames: at once", async () => {
  const frame = addFrame();
  const seen = await witness(frame.contentWindow);
  frame.remove();
  return seen;
});
check("frames: about:blank, a moment later", async () => {
  const frame = addFrame(frame => frame.src = "about:blank");
  await sleep(300);
  const seen = await witness(frame.contentWindow);
  frame.remove();
  return seen;
});
check("frames: srcdoc", async () => {
  const frame = addFrame(frame => frame.srcdoc = "<p>srcdoc");
  await loaded(frame);
  const seen = await witness(frame.contentWindow);
  frame.remove();
  return seen;
});
check("frames: same origin", async () => {
  const frame = addFrame(frame => frame.src = "/empty");
  await loaded(frame);
  const seen = await witness(frame.contentWindow);
  frame.remove();
  return seen;
});
check("frames: same origin, before it is loaded", async () => {
  const frame = addFrame(frame => frame.src = "/empty");
  const seen = typeof frame.contentWindow.RTCPeerConnection;
  const early = frame.contentWindow.RTCPeerConnection;
  await loaded(frame);
  const same = frame.contentWindow.RTCPeerConnection === early;
  const seenThen = await witness(frame.contentWindow);
  frame.remove();
  return {seen, same, seenThen};
});
check("frames: sandboxed", async () => {
  const heard = new Promise(resolve => addEventListener("message", ({data}) => resolve(data), {once: true}));
  const frame = addFrame(frame => {
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script>
      const pc = new RTCPeerConnection(), told = [];
      pc.createDataChannel("x");
      pc.onicecandidate = ({candidate}) => candidate ? told.push(candidate.candidate) : parent.postMessage({told, sdp: pc.localDescription.sdp, origin: self.origin}, "*");
      pc.setLocalDescription();
    <\/script>`;
  });
  const {told, sdp, origin} = await within(8000, heard, {told: ["late"], sdp: ""});
  frame.remove();
  return {told: told.map(shapeOfCandidate), sdp: shapeOfSDP(sdp), origin};
}, {alone: true});
check("frames: written", async () => {
  const frame = addFrame();
  const {contentWindow: other, contentDocument: written} = frame;
  const before = other.RTCPeerConnection;
  written.open();
  written.write("<!DOCTYPE html><p>written<script>early = typeof RTCPeerConnection; earlyText = Function.prototype.toString.call(RTCPeerConnection)<\/script>");
  written.close();
  const seen = {same: other.RTCPeerConnection === before, early: other.early, text: other.earlyText, ...await witness(frame.contentWindow)};
  frame.remove();
  return seen;
});
check("frames: script in about:blank", async () => {
  const frame = addFrame();
  frame.contentWindow.eval("var mine = class extends RTCPeerConnection {}");
  const pc = new frame.contentWindow.mine();
  const seen = [chainOf(pc), pc instanceof frame.contentWindow.RTCPeerConnection, pc.onicecandidate];
  frame.remove();
  return [seen, await outcome(() => new (frame.contentWindow?.RTCPeerConnection ?? Object)())];
});
check("frames: removed while gathering", async () => {
  const frame = addFrame();
  const pc = new frame.contentWindow.RTCPeerConnection();
  pc.createDataChannel("x");
  const log = [];
  pc.onicecandidate = ({candidate}) => log.push(candidate ? "candidate" : "end");
  pc.setLocalDescription().catch(() => {});
  frame.remove();
  await sleep(600);
  return {log, state: pc.signalingState};
});
check("frames: functions of another window", async () => {
  const frame = addFrame();
  const other = frame.contentWindow.RTCPeerConnection.prototype;
  const pc = newOfferer();
  const local = Object.getOwnPropertyDescriptor(other, "localDescription").get;
  const handler = Object.getOwnPropertyDescriptor(other, "onicecandidate").set;
  const told = [];
  handler.call(pc, ({candidate}) => told.push(candidate ? describe(candidate.candidate) : null));
  frame.contentWindow.EventTarget.prototype.addEventListener.call(pc, "icecandidate", ({candidate}) => told.push(["other listener", candidate ? describe(candidate.candidate) : null]));
  const done = gathered(pc);
  const offer = await other.createOffer.call(pc);
  await other.setLocalDescription.call(pc, offer);
  await done;
  const seen = {offer: describe(offer), shown: shapeOfDescription(local.call(pc)), told, stats: describe(await other.getStats.call(pc))};
  pc.close();
  frame.remove();
  return seen;
});
check("windows: opened", async () => {
  const other = open("about:blank");
  if (!other) {
    return "none";
  }
  const seen = await witness(other);
  other.close();
  return seen;
}, {alone: true});
