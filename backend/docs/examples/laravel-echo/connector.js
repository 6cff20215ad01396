// A connector for Laravel Echo. Laravel broadcasts with BROADCAST_CONNECTION=redis.

import { Channel, Connector, EventFormatter } from 'laravel-echo';

class SluiceChannel extends Channel {
  constructor(name, { host, prefix = '', bearerToken, namespace }) {
    super();
    this.formatter = new EventFormatter(namespace);
    this.callbacks = {}; // by event
    const query = new URLSearchParams({ channel: prefix + name });
    if (bearerToken) query.set('access_token', bearerToken);
    this.source = new EventSource(`${host}/events?${query}`);
    this.source.onmessage = ({ data: message }) => {
      const { event, data } = JSON.parse(message);
      for (const callback of this.callbacks[event] ?? []) callback(data);
    };
  }

  listen(event, callback) {
    const name = this.formatter.format(event);
    (this.callbacks[name] ??= new Set()).add(callback);
    return this;
  }

  stopListening(event, callback) {
    const name = this.formatter.format(event);
    if (callback) this.callbacks[name]?.delete(callback);
    else delete this.callbacks[name];
    return this;
  }

  subscribed(callback) {
    this.source.addEventListener('stream.open', callback);
    return this;
  }

  error(callback) {
    this.source.addEventListener('error', callback);
    return this;
  }
}

export class SluiceConnector extends Connector {
  connect() {
    this.channels = {};
  }

  channel(name) {
    return (this.channels[name] ??= new SluiceChannel(name, this.options));
  }

  privateChannel(name) {
    return this.channel(`private-${name}`);
  }

  listen(name, event, callback) {
    return this.channel(name).listen(event, callback);
  }

  leave(name) {
    this.leaveChannel(name);
    this.leaveChannel(`private-${name}`);
  }

  leaveChannel(name) {
    this.channels[name]?.source.close();
    delete this.channels[name];
  }

  disconnect() {
    for (const name of Object.keys(this.channels)) this.leaveChannel(name);
  }

  socketId() {} // a page receives the events that it caused, too
}
