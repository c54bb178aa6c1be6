"use strict";

const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

// until resolves to whether a condition holds within so many milliseconds.
async function until(milliseconds, condition) {
  const end = performance.now() + milliseconds;
  while (!await condition()) {
    if (performance.now() > end) return false;
    await sleep(20);
  }
  return true;
}

// Watch keeps all that a page can read of its connections.
class Watch {
  constructor() {
    this.all = [];          // connections
    this.states = [];
    this.read = new Map();  // by source, what the page could read of it at some time
    this.shown = [];        // every candidate of its own that the page was shown
    this.sampling = setInterval(() => this.noteStatistics(), 250);
  }

  // gathers tells whether this page can gather its candidates within so many milliseconds.
  static async gathers(milliseconds) {
    const pc = new RTCPeerConnection();
    pc.createDataChannel("probe");
    await pc.setLocalDescription();
    const complete = await until(milliseconds, () => pc.iceGatheringState === "complete");
    pc.close();
    return complete;
  }

  // gathering returns what the page is told of the candidates for a data channel: in what order they come, null last, and
  // after how many milliseconds that is.
  static async gathering() {
    // To make one takes Firefox longer than all else.
    this.certificate ??= await RTCPeerConnection.generateCertificate({name: "ECDSA", namedCurve: "P-256"});
    const pc = new RTCPeerConnection({certificates: [this.certificate]});
    pc.createDataChannel("gathering");
    const offer = await pc.createOffer();
    const candidates = [];
    const complete = new Promise(resolve => pc.onicecandidate = ({candidate}) => {
      candidates.push(candidate?.candidate ?? "null");
      if (!candidate) resolve();
    });
    const began = performance.now();
    await pc.setLocalDescription(offer);
    await complete;
    const milliseconds = performance.now() - began;
    await sleep(0);
    pc.close();
    return {candidates, milliseconds};
  }

  // everything adds every connection that scripts make from now on to the one Watch there is then. They are as scripts know them: an
  // application may extend the browser's class.
  static everything() {
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...args) {
        super(...args);
        globalThis.peer?.watch(this);
      }
    };
  }

  // watch adds a connection.
  watch(pc) {
    this.all.push(pc);
    pc.addEventListener("icecandidate", ({candidate}) => {
      this.note("regular expressions", [RegExp.input, RegExp.$1, RegExp.$3]); // the last that any script of the page has used
      this.note("own candidates", candidate && [candidate, candidate.address, candidate.relatedAddress]);
      if (candidate?.candidate) this.shown.push(candidate.candidate);
      this.noteDescriptions();
    });
    pc.addEventListener("icecandidateerror", event => this.note("errors", [event.address, event.port, event.url, event.errorText]));
    pc.addEventListener("track", ({track}) => this.show(track));
    pc.addEventListener("icegatheringstatechange", () => this.noteGathering(pc));
    pc.addEventListener("signalingstatechange", () => this.noteDescriptions());
    pc.addEventListener("iceconnectionstatechange", () => this.states.push(pc.iceConnectionState));
    pc.addEventListener("connectionstatechange", () => {
      this.states.push(pc.connectionState);
      if (pc.connectionState === "connected") this.connectedAt ??= performance.now();
    });
  }

  // expect is called on the side that is about to be called.
  expect() {}

  // pc is the connection that is connected first, or that was made last.
  get pc() { return this.all.find(pc => pc.connectionState === "connected") ?? this.all.at(-1); }

  get open() { return this.all.filter(pc => pc.signalingState !== "closed"); }

  show(track) {
    const element = document.createElement(track.kind);
    element.muted = element.autoplay = true;
    element.srcObject = new MediaStream([track]);
    document.body.append(element);
  }

  connectionStates() { return this.states; }

  // capture returns sound and pictures of a microphone and a camera.
  async capture() {
    this.stream = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 160, height: 120, frameRate: 10}});
    return this.stream;
  }

  // flows tells whether the sound that comes in goes on and pictures are decoded, both from now on.
  async flows(milliseconds) {
    const before = await this.media();
    let now = before;
    await until(milliseconds, async () => {
      now = await this.media();
      return now.frames > before.frames + 5 && now.sound > before.sound;
    });
    return {frames: now.frames - before.frames, sound: now.sound - before.sound};
  }

  async media() {
    const found = {frames: 0, sound: 0};
    for (const pc of this.open) {
      for (const s of (await pc.getStats()).values()) {
        if (s.type !== "inbound-rtp") continue;
        if (s.kind === "video") found.frames += s.framesDecoded ?? 0;
        if (s.kind === "audio") found.sound += s.bytesReceived ?? 0;
      }
    }
    return found;
  }

  // pair returns the two candidates that the connection runs over, as the statistics have them. While ICE begins
  // anew there may be none for a moment.
  async pair() {
    let all, pair;
    await until(5000, async () => {
      all = await this.pc.getStats();
      const transport = [...all.values()].find(({type}) => type === "transport");
      return pair = all.get(transport.selectedCandidatePairId);
    });
    const end = id => {
      const {candidateType: type, protocol} = all.get(id);
      return `${type}/${protocol}`;
    };
    return [end(pair.localCandidateId), end(pair.remoteCandidateId)];
  }

  // gathered returns all candidates of its own once there are no more to come.
  async gathered() {
    await until(10000, () => this.shown.length > 0 && this.open.every(pc => pc.iceGatheringState !== "gathering"));
    return this.shown;
  }

  note(source, what) {
    const text = typeof what === "string" ? what : JSON.stringify(what);
    if (!this.read.has(source)) this.read.set(source, new Set());
    this.read.get(source).add(text);
  }

  noteDescriptions() {
    for (const pc of this.all) {
      for (const side of ["Local", "Remote"]) {
        for (const which of ["", "current", "pending"]) {
          const name = which ? `${which}${side}Description` : `${side.toLowerCase()}Description`;
          if (pc[name]) this.note(name, pc[name].sdp);
        }
      }
    }
  }

  // noteGathering notes the statistics of candidates from before they are in any event.
  async noteGathering(pc) {
    for (let i = 0; i < 100 && pc.iceGatheringState === "gathering"; i++) {
      for (const s of (await pc.getStats()).values()) {
        if (/candidate/.test(s.type)) this.note("statistics", s);
      }
    }
  }

  // noteStatistics notes the statistics of what concerns addresses, or of every type.
  async noteStatistics(types = /candidate|transport|certificate/) {
    for (const pc of this.open) {
      for (const s of (await pc.getStats()).values()) {
        if (types.test(s.type)) this.note("statistics", s);
      }
      const transports = [pc.sctp?.transport, ...pc.getReceivers().map(r => r.transport)].filter(t => t);
      for (const {iceTransport: ice} of transports) {
        const pair = ice.getSelectedCandidatePair?.();
        const candidates = [...ice.getLocalCandidates?.() ?? [], ...ice.getRemoteCandidates?.() ?? [], pair?.local, pair?.remote];
        for (const c of candidates.filter(c => c)) this.note("transports", [c, c.address, c.relatedAddress]);
      }
    }
  }

  // readable returns all that the page could read from the start of the call, by source.
  async readable() {
    this.noteDescriptions();
    await this.noteStatistics(/./);
    return Object.fromEntries([...this.read].map(([source, texts]) => [source, [...texts].join("\n")]));
  }

  // close ends the call and resolves once the page has nothing of it any more.
  async close() {
    clearInterval(this.sampling);
    this.stream?.getTracks().forEach(track => track.stop());
    for (const pc of this.all) pc.close();
    document.body?.replaceChildren();
  }
}

// connect resolves to a WebSocket to the one who is in the room as well.
async function connect(room) {
  const socket = new WebSocket(`wss://${location.host}/signal?room=${encodeURIComponent(room)}`);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("no signaling"));
    socket.onclose = socket.onerror;
  });
  return socket;
}
