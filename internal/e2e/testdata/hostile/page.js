"use strict";
// What the hostile page does, called by the test step by step.

const sleep = milliseconds => new Promise(resolve => saved.timeout.call(window, resolve, milliseconds));
const within = (milliseconds, promise, late = "late") => Promise.race([promise, sleep(milliseconds).then(() => late)]);
ways();
const ufrags = new Set();  // of all connections that this page and the frames it commands have made

// gather makes a connection in a window and returns all that can be read of it.
async function gather(of = window) {
  const pc = new of.RTCPeerConnection();
  const read = [];
  pc.createDataChannel("x");
  const done = new Promise(resolve => {
    pc.onicecandidate = event => {
      read.push(event.candidate ? [event.candidate.candidate, event.candidate.address, JSON.stringify(event.candidate)] : null);
      event.candidate ?? resolve("complete");
    };
  });
  await pc.setLocalDescription(await pc.createOffer());
  pc.localDescription.sdp.replace(/a=ice-ufrag:(.*)\r/g, (_, ufrag) => ufrags.add(ufrag));
  const ended = await within(8000, done);
  for (const key of ["localDescription", "currentLocalDescription", "pendingLocalDescription"]) {
    read.push(pc[key]?.sdp, JSON.stringify(pc[key]));
  }
  const transport = pc.sctp?.transport?.iceTransport;
  read.push(transport?.getLocalCandidates?.().map(({candidate, address}) => [candidate, address]), transport?.getLocalParameters?.());
  for (const stats of (await pc.getStats()).values()) {
    read.push(stats);
  }
  pc.close();
  note(JSON.stringify(read));
  return ended;
}

// natives reads with functions that the extension may not have replaced: saved ones, other windows', those in prototypes.
async function natives() {
  const frame = document.createElement("iframe");
  document.documentElement.append(frame);
  const other = frame.contentWindow;
  const found = [];
  const pc = new RTCPeerConnection();
  pc.createDataChannel("x");
  const events = [];
  const hear = event => events.push(event);
  other.EventTarget.prototype.addEventListener.call(pc, "icecandidate", hear, true);
  Object.getOwnPropertyDescriptor(other.RTCPeerConnection.prototype, "onicecandidate")?.set.call(pc, hear);
  const done = new Promise(resolve => pc.addEventListener("icecandidate", ({candidate}) => candidate ?? resolve()));
  await other.RTCPeerConnection.prototype.setLocalDescription.call(pc);
  pc.localDescription.sdp.replace(/a=ice-ufrag:(.*)\r/g, (_, ufrag) => ufrags.add(ufrag));
  await within(8000, done);
  for (const window of [self, other]) {
    for (const [object, of] of [[pc, window.RTCPeerConnection], [pc.localDescription, window.RTCSessionDescription], ...events.map(event => [event, window.RTCPeerConnectionIceEvent]),
      ...events.map(event => [event.candidate, window.RTCIceCandidate])]) {
      for (const key of Reflect.ownKeys(of.prototype)) {
        const {get, value} = Object.getOwnPropertyDescriptor(of.prototype, key);
        try {
          const result = get ? get.call(object) : ["toJSON", "getStats"].includes(key) ? await value.call(object) : undefined;
          found.push(String(result), JSON.stringify(result));
          if (key === "getStats") {
            window.RTCStatsReport.prototype.forEach.call(result, stats => found.push(JSON.stringify(stats)));
            found.push(JSON.stringify([...window.RTCStatsReport.prototype.values.call(result)]));
          }
        } catch {
          // Not for this one.
        }
      }
    }
  }
  found.push(JSON.stringify([...await pc.getStats()]));
  found.push(await new Promise(resolve => { const clone = structuredClone; try { resolve(JSON.stringify(clone(pc.localDescription))); } catch { resolve(""); } }));
  pc.close();
  frame.remove();
  found.filter(Boolean).forEach(text => note(text));
  return found.length;
}

// frames makes connections in frames of every kind: about:blank, before anything can be put into it, srcdoc, sandboxed.
async function frames() {
  const ended = {};
  const add = change => {
    const frame = document.createElement("iframe");
    change?.(frame);
    document.documentElement.append(frame);
    return frame;
  };
  const blank = add();
  listenEverywhere(blank.contentWindow);
  spy(blank.contentWindow);
  pose(blank.contentDocument);
  ended.blank = await gather(blank.contentWindow);
  const doc = add(frame => frame.srcdoc = "<p>srcdoc");
  await new Promise(resolve => doc.onload = resolve);
  listenEverywhere(doc.contentWindow);
  ended.srcdoc = await gather(doc.contentWindow);
  const written = add();
  written.contentDocument.open();
  written.contentDocument.write("<p>written");
  written.contentDocument.close();
  ended.written = await gather(written.contentWindow);
  const blob = add(frame => frame.src = URL.createObjectURL(new Blob(["<p>blob"], {type: "text/html"})));
  await new Promise(resolve => blob.onload = resolve);
  ended.blob = blob.contentWindow.RTCPeerConnection ? await gather(blob.contentWindow) : "none";
  // In these nobody has an origin that a gateway may be asked for.
  const script = `<script>
    const pc = new RTCPeerConnection(), told = [];
    pc.createDataChannel("x");
    pc.onicecandidate = ({candidate}) => candidate ? told.push(candidate.candidate) : parent.postMessage({told, sdp: pc.localDescription.sdp}, "*");
    pc.setLocalDescription();
  <\/script>`;
  for (const change of [frame => { frame.sandbox = "allow-scripts"; frame.srcdoc = script; }, frame => frame.src = "data:text/html," + encodeURIComponent(script)]) {
    const heard = new Promise(resolve => addEventListener("message", ({data}) => data?.sdp && resolve(data)));
    const frame = add(change);
    const data = await within(8000, heard, {});
    note(JSON.stringify(data));
    (ended.opaque ??= []).push(data.sdp?.match(/a=ice-ufrag:(.*)\r/)[1] ?? "none");
    frame.remove();
  }
  return ended;
}

// leave closes and navigates frames while they ask.
async function leave(times) {
  for (let i = 0; i < times; i++) {
    const frame = document.createElement("iframe");
    document.documentElement.append(frame);
    const pc = new frame.contentWindow.RTCPeerConnection();
    pc.createDataChannel("x");
    pc.setLocalDescription().catch(() => {});
    await sleep(i % 4 * 8);
    if (i % 2) {
      frame.src = "/empty";
      await sleep(5);
    }
    frame.remove();
  }
  return gather();
}

// guess forges questions for the addresses and names given, each with a ufrag that tells them apart, and returns what was
// answered to each.
async function guess(addresses) {
  forged.answers.length = 0;
  quiet = true; // what is guessed is no find
  for (const [i, address] of addresses.entries()) {
    const text = `candidate:1 1 udp 2113937151 ${address} 50000 typ host generation 0 ufrag forged${i}`;
    forged.asked++;
    for (const node of ways()) {
      const ask = () => saved.apply(saved.dispatch, node, [new saved.CustomEvent("ask", {cancelable: true, detail: forgedText(`77${i}`, text, "forged-password-of-a-session")})]);
      // After a flood the isolated script takes none for a moment.
      for (let tries = 20; ask() && node === globalThis.stolen && --tries > 0;) {
        await sleep(100);
      }
    }
  }
  await sleep(1500);
  const heard = forged.answers.splice(0);
  quiet = false;
  return Object.fromEntries(addresses.map((address, i) => [address, heard.filter(answer => answer.startsWith(`77${i}\n`)).map(answer => answer.split("\n")[1])]));
}

// flood keeps the isolated script and the worker busy for a time: with questions, with nonsense, with megabytes, and with
// connections that are left at once.
async function flood(milliseconds) {
  const end = performance.now() + milliseconds;
  const large = "x".repeat(1 << 20);
  let rounds = 0;
  quiet = true; // watching costs more than what is watched
  while (performance.now() < end) {
    for (let i = 0; i < 30 && performance.now() < end; i++) {
      forge(`candidate:${i} 1 udp 2113937151 10.77.2.${rounds % 250} 5 typ host ufrag forged`, "p".repeat(24));
    }
    if (rounds % 10 === 0) {
      forge(large, large);
      forge(`candidate:1 1 udp 1 ${large}.local 5 typ host ufrag forged`, "p");
    }
    const pc = new RTCPeerConnection();
    pc.createDataChannel("x");
    pc.setLocalDescription().catch(() => {});
    saved.timeout.call(window, () => pc.close(), 100);
    rounds++;
    await sleep(0);
  }
  quiet = false;
  return {rounds, asked: forged.asked, taken: forged.taken, answers: forged.answers.length};
}

// reach tries whatever else may lead to the gateway or the extension.
async function reach(gateway, extension) {
  const body = JSON.stringify({origin: "https://meet.example", candidates: [{candidate: "candidate:1 1 udp 2113937151 10.77.1.2 5 typ host ufrag forged", pwd: "p".repeat(24)}]});
  const tried = {};
  const attempt = async (title, use) => {
    tried[title] = await within(3000, Promise.resolve().then(use).then(String, error => `refused: ${error.name ?? error}`));
  };
  const post = options => fetch(`${gateway}/v1/encrypt`, {method: "POST", body, ...options}).then(async response => `${response.type} ${response.status} ${await response.text()}`);
  await attempt("fetch", () => post({headers: {"Content-Type": "application/json"}}));
  await attempt("fetch text", () => post({}));
  await attempt("fetch without cors", () => post({mode: "no-cors"}));
  await attempt("fetch with origin", () => post({headers: {Origin: extension, "Content-Type": "application/json"}}));
  await attempt("fetch from a frame without origin", () => new Promise(resolve => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script>fetch(${JSON.stringify(gateway)} + "/v1/encrypt", {method: "POST", body: ${JSON.stringify(body)}, headers: {"Content-Type": "application/json"}})
      .then(r => r.text(), e => "refused: " + e.name).then(t => parent.postMessage({fetched: t}, "*"))<\/script>`;
    addEventListener("message", ({data}) => data?.fetched && resolve(data.fetched));
    document.documentElement.append(frame);
  }));
  await attempt("beacon", () => navigator.sendBeacon(`${gateway}/v1/encrypt`, new Blob([body], {type: "text/plain"})) && "sent");
  await attempt("form", () => new Promise(resolve => {
    const frame = document.createElement("iframe");
    frame.name = "answers";
    document.documentElement.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", action: `${gateway}/v1/encrypt`, enctype: "text/plain", target: "answers"});
    const input = document.createElement("input");
    Object.assign(input, {name: body.slice(0, -1) + ',"x":"', value: '"}'});
    form.append(input);
    document.documentElement.append(form);
    frame.onload = () => { let text = "refused: nothing to read"; try { text = frame.contentDocument?.body?.textContent || text; } catch { /* another origin */ } resolve(text); };
    form.submit();
    saved.timeout.call(window, resolve, 1500, "refused: nothing to read");
  }));
  for (const file of ["page.js", "relay.js", "worker.js", "manifest.json", "status.html", "managed_schema.json", "icon-16.png"]) {
    await attempt(`fetch ${file}`, () => fetch(`${extension}/${file}`).then(response => response.text()));
    await attempt(`script ${file}`, () => new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, {src: `${extension}/${file}`, onload: () => resolve("loaded"), onerror: () => reject(new Error("error"))});
      document.documentElement.append(script);
    }));
    await attempt(`image ${file}`, () => new Promise((resolve, reject) => {
      const image = new Image();
      Object.assign(image, {src: `${extension}/${file}`, onload: () => resolve("loaded"), onerror: () => reject(new Error("error"))});
    }));
  }
  await attempt("message to the worker", () => {
    const {runtime} = globalThis.chrome ?? globalThis.browser ?? {};
    if (!runtime?.sendMessage) {
      throw new Error("no way");
    }
    return runtime.sendMessage(new URL(extension).host, {kind: "encrypt", candidates: JSON.parse(body).candidates});
  });
  await attempt("connection to the worker", () => {
    const {runtime} = globalThis.chrome ?? globalThis.browser ?? {};
    return new Promise((resolve, reject) => {
      if (!runtime?.connect) {
        reject(new Error("no way"));
      }
      const port = runtime.connect(new URL(extension).host);
      port.onMessage.addListener(message => resolve(JSON.stringify(message)));
      port.onDisconnect.addListener(() => reject(new Error("disconnected")));
      port.postMessage({kind: "encrypt"});
    });
  });
  Object.values(tried).forEach(text => note(text));
  return tried;
}

const everything = () => ({texts: [...seen], answers: forged.answers, ufrags: [...ufrags], taken: forged.taken, found: forged.found});
