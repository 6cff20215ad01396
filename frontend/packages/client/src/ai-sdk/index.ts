/** A transport for `useChat` of the AI SDK. */
export { SluiceChatTransport, type SluiceChatTransportOptions } from './transport.js';
