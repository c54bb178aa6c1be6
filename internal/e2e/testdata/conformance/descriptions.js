"use strict";
// Descriptions: made, set, shown, changed, handed in again.

check("descriptions: created", async () => {
  const pc = newOfferer();
  const offer = await pc.createOffer();
  const seen = {
    whole: describe(offer), json: shapeOfJSON(JSON.parse(JSON.stringify(offer))), sdp: shapeOfSDP(offer.sdp), type: [typeof offer.type, offer.type], promise: pc.createOffer() instanceof Promise,
    properties: Object.fromEntries(["type", "sdp"].map(key => [key, key in offer])), of: offer instanceof RTCSessionDescription, plain: Object.getPrototypeOf(offer) === Object.prototype,
    string: String(offer), entries: Object.keys(offer), own: Object.fromEntries(ownNames(offer).map(key => [key, Reflect.getOwnPropertyDescriptor(offer, key).writable])),
  };
  offer.extra = 1;
  seen.extra = offer.extra;
  seen.written = await outcome(() => { offer.sdp += "a=x-extra:1\r\n"; return offer.sdp.endsWith("a=x-extra:1\r\n"); });
  seen.typeWritten = await outcome(() => { offer.type = "answer"; return offer.type; });
  seen.again = (await pc.createOffer()).sdp === (await pc.createOffer()).sdp;
  seen.different = (await pc.createOffer()) !== (await pc.createOffer());
  await gather(pc);
  const late = await pc.createOffer();
  seen.late = {candidates: candidatesIn(late).length, sdp: shapeOfSDP(late.sdp)};
  pc.close();
  return seen;
});

check("descriptions: answers", async () => {
  // An offer without candidates: with some, browsers that have a connection soon gather no more.
  const a = newOfferer(), b = new RTCPeerConnection();
  await b.setRemoteDescription(await a.createOffer());
  const answer = await b.createAnswer();
  const seen = {whole: describe(answer), sdp: shapeOfSDP(answer.sdp), pending: shapeOfDescription(b.pendingRemoteDescription)};
  const done = gathered(b);
  await b.setLocalDescription(answer);
  await done;
  seen.shown = shapeOfDescription(b.localDescription);
  seen.states = [b.signalingState, b.pendingLocalDescription, b.currentLocalDescription === b.localDescription, b.currentRemoteDescription === b.remoteDescription];
  const again = await b.createOffer();
  seen.late = shapeOfSDP(again.sdp);
  a.close();
  b.close();
  return seen;
});

check("descriptions: callbacks", async () => {
  const pc = newOfferer();
  const seen = {};
  const called = use => within(1000, new Promise(use), "nobody called");
  seen.noThis = await called(resolve => pc.createOffer(function() { resolve([this === undefined, arguments.length]); }, () => {}));
  const offer = await called((resolve, reject) => {
    seen.returned = outcome(() => pc.createOffer(resolve, reject));
  });
  seen.returned = await seen.returned;
  seen.offer = describe(offer);
  seen.set = await called((resolve, reject) => pc.setLocalDescription(offer, function() { resolve([this === undefined, arguments.length]); }, reject));
  seen.wrong = await called(resolve => pc.setLocalDescription({type: "answer", sdp: offer.sdp}, () => resolve("set"), error => resolve(describeError(error))));
  seen.remote = await called(resolve => pc.setRemoteDescription({type: "offer", sdp: "x"}, () => resolve("set"), error => resolve(describeError(error))));
  seen.answer = await called(resolve => pc.createAnswer(() => resolve("made"), error => resolve(describeError(error))));
  seen.candidate = await called(resolve => pc.addIceCandidate({candidate: "", sdpMid: "0"}, () => resolve("added"), error => resolve(describeError(error))));
  seen.options = await called((resolve, reject) => newOfferer().createOffer(made => resolve(candidatesIn(made).length), reject, {iceRestart: true}));
  const reported = new Promise(resolve => addEventListener("error", event => { event.preventDefault(); resolve(event.message); }, {once: true}));
  pc.createOffer(() => { throw new RangeError("in a callback"); }, () => {});
  seen.thrown = await within(400, reported, "not reported");
  pc.close();
  seen.stats = await within(1000, Promise.resolve().then(() => newOfferer().getStats(() => {})).then(describe, describeError));
  return seen;
}, {alone: true});

check("descriptions: identity", async () => {
  const pc = newOfferer();
  const seen = [];
  const look = title => seen.push([title, ...["localDescription", "pendingLocalDescription", "currentLocalDescription", "remoteDescription", "pendingRemoteDescription", "currentRemoteDescription"].map(key =>
    [key, pc[key] === null ? null : pc[key].type, pc[key] === pc[key], candidatesIn(pc[key]).length > 0]), pc.localDescription === pc.pendingLocalDescription, pc.localDescription === pc.currentLocalDescription]);
  look("new");
  await gather(pc);
  look("offered");
  const kept = pc.localDescription;
  const other = new RTCPeerConnection();
  await other.setRemoteDescription(kept);
  const done = gathered(other);
  await other.setLocalDescription();
  await done;
  await pc.setRemoteDescription(other.localDescription);
  look("answered");
  seen.push(pc.localDescription === kept, pc.localDescription.sdp === kept.sdp);
  await pc.setLocalDescription(await pc.createOffer());
  look("offered again");
  await pc.setLocalDescription({type: "rollback"});
  look("rolled back");
  pc.close();
  seen.push(await outcome(() => look("closed")));
  other.close();
  return seen;
});

check("descriptions: as they are", async () => {
  const pc = await gather(newOfferer());
  const {localDescription} = pc;
  const seen = {
    whole: shapeOfDescription(localDescription), described: describe(localDescription), json: shapeOfJSON(JSON.parse(JSON.stringify(localDescription))), copy: describe({...localDescription}),
    written: await outcome(() => { localDescription.sdp = "x"; return localDescription.sdp === "x"; }), after: candidatesIn(pc.localDescription).length,
    cloned: await outcome(() => structuredClone(localDescription)), copied: shapeOfDescription(new RTCSessionDescription(localDescription)),
    getter: shapeOfSDP(Object.getOwnPropertyDescriptor(RTCSessionDescription.prototype, "sdp").get.call(pc.localDescription)),
    toJSON: shapeOfJSON(RTCSessionDescription.prototype.toJSON.call(pc.localDescription)),
    keys: (() => { const keys = []; for (const key in localDescription) { keys.push(key); } return keys; })(),
  };
  localDescription.expando = 1;
  seen.expando = pc.localDescription.expando ?? "gone";
  pc.close();
  return seen;
});

// What is set comes back in what is shown.
const settings = {
  "the offer": offer => offer,
  "a plain object": ({type, sdp}) => ({type, sdp}),
  "an RTCSessionDescription": offer => new RTCSessionDescription(offer),
  "JSON": offer => JSON.parse(JSON.stringify(offer)),
  "a heir": offer => Object.create(offer, {type: {value: offer.type}, sdp: {value: offer.sdp}}),
  "getters": ({type, sdp}) => ({get type() { return type; }, get sdp() { return sdp; }}),
  "toString": ({type, sdp}) => ({type: {toString: () => type}, sdp: {toString: () => sdp}}),
  "nothing": () => undefined,
  "no description": () => ({}),
  "a type alone": ({type}) => ({type}),
  "no type": ({sdp}) => ({sdp}),
  "an empty SDP": ({type}) => ({type, sdp: ""}),
  "an attribute more": ({type, sdp}) => ({type, sdp: sdp + "a=x-candgw:1\r\n"}),
  "another ufrag": ({type, sdp}) => ({type, sdp: sdp.replace(/a=ice-ufrag:.*\r\n/g, "a=ice-ufrag:abcd\r\n")}),
  "without trickle": ({type, sdp}) => ({type, sdp: sdp.replace(/a=ice-options:.*\r\n/g, "")}),
  "line ends": ({type, sdp}) => ({type, sdp: sdp.replaceAll("\r\n", "\n")}),
  "a pranswer": ({sdp}) => ({type: "pranswer", sdp}),
  "a wrong type": ({sdp}) => ({type: "answer", sdp}),
  "a candidate": ({type, sdp}) => ({type, sdp: sdp + "a=candidate:1 1 udp 2113937151 c0ffee00-1111-4222-8333-444455556666.local 5000 typ host\r\n"}),
};
for (const [title, change] of Object.entries(settings)) {
  check(`descriptions: set ${title}`, async () => {
    const pc = newOfferer();
    const done = gathered(pc);
    const offer = await pc.createOffer();
    const argument = change(offer);
    const seen = {set: await outcome(() => title === "nothing" ? pc.setLocalDescription() : pc.setLocalDescription(argument), 3000)};
    if (pc.signalingState === "have-local-offer") {
      seen.gathered = await within(6000, done.then(() => true));
      if (title === "a candidate") {
        await sleep(1500); // the page's own candidate is asked for like the browser's, and nobody answers
      }
      seen.shown = shapeOfDescription(pc.localDescription);
    }
    seen.state = pc.signalingState;
    pc.close();
    return seen;
  });
}

check("descriptions: handed in again", async () => {
  const pc = await gather(newOfferer());
  const seen = {};
  const shown = pc.localDescription;
  const again = async (title, make) => {
    seen[title] = {set: await outcome(() => pc.setLocalDescription(make()), 3000), shown: candidatesIn(pc.localDescription).length, state: [pc.signalingState, pc.iceGatheringState], same: pc.localDescription.sdp === shown.sdp};
  };
  await again("as shown", () => shown);
  await again("plain", () => ({type: shown.type, sdp: shown.sdp}));
  await again("an attribute more", () => ({type: shown.type, sdp: shown.sdp + "a=x-candgw:1\r\n"}));
  await again("a candidate less", () => ({type: shown.type, sdp: shown.sdp.replace(/a=candidate:.*\r\n/, "")}));
  seen.created = await outcome(async () => pc.setLocalDescription(await pc.createOffer()), 3000);
  await until(() => pc.iceGatheringState === "complete");
  seen.end = [candidatesIn(pc.localDescription).length, pc.iceGatheringState, shapeOfDescription(pc.localDescription)];
  pc.close();
  return seen;
});

check("descriptions: rollback", async () => {
  const pc = newOfferer();
  const log = [];
  pc.onicecandidate = ({candidate}) => log.push(candidate ? candidate.candidate ? "candidate" : "empty" : null);
  await pc.setLocalDescription();
  const back = await outcome(() => pc.setLocalDescription({type: "rollback"}), 1000);
  const seen = {back, state: [pc.signalingState, pc.localDescription, pc.pendingLocalDescription]};
  await sleep(700);
  log.length = 0;
  seen.again = await within(1500, gather(pc).then(() => "complete"));
  seen.log = log;
  seen.shown = candidatesIn(pc.localDescription).length;
  const other = await gather(newOfferer());
  seen.remote = [await outcome(() => pc.setRemoteDescription(other.localDescription), 2000), pc.signalingState, pc.localDescription?.type ?? null, pc.remoteDescription?.type ?? null];
  pc.close();
  other.close();
  return seen;
});

check("descriptions: glare", async () => {
  // Perfect negotiation: the polite side takes its offer back in favor of the other's.
  const a = newOfferer(), b = newOfferer();
  await Promise.all([gather(a), gather(b)]);
  const opened = new Promise(resolve => b.ondatachannel = ({channel}) => resolve(channel.label));
  await a.setRemoteDescription(b.localDescription);
  const rolled = [a.signalingState, a.localDescription?.type ?? null];
  const done = gathered(a);
  await a.setLocalDescription();
  await within(3000, done);
  await b.setRemoteDescription(a.localDescription);
  const seen = {rolled, opened: await within(8000, opened), a: a.signalingState, b: b.signalingState, shown: candidatesIn(a.localDescription).length > 0};
  a.close();
  b.close();
  return seen;
});

// Two connections of one page, whose candidates go from one to the other in many forms.
const forms = {
  "RTCIceCandidate": candidate => candidate,
  "toJSON": candidate => candidate?.toJSON(),
  "JSON": candidate => JSON.parse(JSON.stringify(candidate)),
  "plain": candidate => candidate && {candidate: candidate.candidate, sdpMid: candidate.sdpMid},
  "copy": candidate => candidate && new RTCIceCandidate(candidate),
  "getters": candidate => candidate && {get candidate() { return candidate.candidate; }, get sdpMid() { return candidate.sdpMid; }},
  "attribute": candidate => candidate && {candidate: "a=" + candidate.candidate, sdpMid: candidate.sdpMid},
  "upper case": candidate => candidate && {candidate: candidate.candidate.replace(namePattern, name => name.toUpperCase()), sdpMid: candidate.sdpMid},
};
for (const [title, form] of Object.entries(forms)) {
  check(`loopback: candidates as ${title}`, async () => {
    const a = new RTCPeerConnection(), b = new RTCPeerConnection();
    const states = {a: [], b: []};
    a.oniceconnectionstatechange = () => states.a.push(a.iceConnectionState);
    b.onconnectionstatechange = () => states.b.push(b.connectionState);
    const echo = await connect(a, b, {form, limit: title === "upper case" ? 4000 : 8000}); // Firefox finds no such name
    a.close();
    b.close();
    await sleep(50);
    return {echo, connected: states.a.includes("connected") || states.a.includes("completed"), b: states.b};
  });
}

const copies = {shown: x => x, json: x => JSON.parse(JSON.stringify(x)), made: x => new RTCSessionDescription(x), plain: ({type, sdp}) => ({type, sdp})};
for (const [title, describeAs] of Object.entries(copies)) {
  check(`loopback: descriptions alone, ${title}`, async () => {
    const a = await gather(newOfferer()), b = new RTCPeerConnection();
    const opened = new Promise(resolve => b.ondatachannel = ({channel}) => resolve(channel.label));
    await b.setRemoteDescription(describeAs(a.localDescription));
    const seen = {remote: shapeOfDescription(b.remoteDescription)};
    const done = gathered(b);
    await b.setLocalDescription();
    await done;
    await a.setRemoteDescription(describeAs(b.localDescription));
    Object.assign(seen, {opened: await within(8000, opened.then(() => "opened"), `not opened: ${a.iceConnectionState} and ${b.iceConnectionState}`), same: [a.remoteDescription.sdp === b.localDescription.sdp, b.remoteDescription.sdp === a.localDescription.sdp]});
    a.close();
    b.close();
    return seen;
  });
}

check("loopback: candidates of several kinds", async () => {
  const a = await gather(newOfferer()), b = new RTCPeerConnection();
  const bare = a.localDescription.sdp.replace(/a=(candidate|end-of-candidates).*\r\n/g, "");
  await b.setRemoteDescription({type: "offer", sdp: bare});
  const seen = {};
  const foreign = "c0ffee00-1111-4222-8333-444455556666.local";
  for (const [title, candidate] of Object.entries({
    foreign: {candidate: `candidate:1 1 udp 2113937151 ${foreign} 5000 typ host`, sdpMid: "0"}, address: {candidate: "candidate:2 1 udp 2113937151 192.0.2.1 5000 typ host", sdpMid: "0"},
    nonsense: {candidate: "nonsense", sdpMid: "0"}, empty: {candidate: "", sdpMid: "0"}, mid: {candidate: "candidate:1 1 udp 1 x.local 1 typ host", sdpMid: "9"}, ufrag: {candidate: "", sdpMid: "0", usernameFragment: "none"},
    null: null, text: "", own: {candidate: candidatesIn(a.localDescription)[0].slice(2), sdpMid: "0"}, undefined: undefined, none: {candidate: "candidate:1 1 udp 1 x.local 1 typ host", sdpMid: null},
  })) {
    seen[title] = await outcome(() => b.addIceCandidate(candidate), 2000);
  }
  seen.remote = shapeOfDescription(b.remoteDescription);
  seen.before = await outcome(() => new RTCPeerConnection().addIceCandidate({candidate: "", sdpMid: "0"}), 1000);
  a.close();
  b.close();
  return seen;
});
