"use strict";
// An extension as one writes it in an afternoon: its pages work, and can tell it at many places. The checks have to find
// it different.
(() => {
  const Native = RTCPeerConnection;
  globalThis.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(configuration) {
      super(configuration);
      Native.prototype.addEventListener.call(this, "icecandidate", event => {
        event.stopImmediatePropagation();
        setTimeout(() => this.handler?.({candidate: event.candidate, target: this}), 1);
      });
    }
    set onicecandidate(handler) { this.handler = handler; }
    get onicecandidate() { return this.handler; }
    async createOffer(options) { const {type, sdp} = await super.createOffer(options); return {type, sdp}; }
    get localDescription() { return super.localDescription && {type: super.localDescription.type, sdp: super.localDescription.sdp}; }
    addEventListener(type, listener, options) {
      if (type === "icecandidate") {
        this.handler = listener;
      } else {
        super.addEventListener(type, listener, options);
      }
    }
  };
})();
