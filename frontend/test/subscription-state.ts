import { connecting, type SubscriptionState } from '../packages/client/src';

/** The state of a subscription before anything has arrived. */
export const newSubscription: SubscriptionState = {
  ...{ status: connecting, topics: [], refused: new Map(), ended: new Set(), missing: new Set() },
};
