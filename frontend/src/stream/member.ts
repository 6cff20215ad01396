import type { Exchange, ExchangeObserver, ExchangeState, Joined, Want } from './exchange';
import type { Item } from './history';
import type { Place } from './opening';

/** An item on its way to a tab. */
export interface Delivery {
  readonly lane: string;
  readonly topic: string;
  readonly item: Item;
}

/** What a tab does in its group. */
export interface Member {
  /** Makes ready to be known to a new leader: with new keys, each from where the tab has come to. */
  readonly rejoin: () => void;
  readonly wants: () => readonly Want[];
  readonly onJoined: (joined: Joined) => void;
  /** `places` are the newest ones behind the deliveries, by lane. */
  readonly onItems: (
    deliveries: readonly Delivery[],
    places: Readonly<Record<string, Place>>,
  ) => void;
  readonly onState: (state: ExchangeState) => void;
}

/** What tabs of a group say to each other. */
export type Message =
  | { readonly kind: 'wants'; readonly tab: string; readonly wants: readonly Want[] }
  | { readonly kind: 'retry' | 'question' | 'answer' | 'lead' }
  | { readonly kind: 'joined'; readonly tab: string; readonly joined: Joined }
  | { readonly kind: 'state'; readonly state: ExchangeState }
  | {
      readonly kind: 'items';
      readonly deliveries: readonly Delivery[];
      readonly places: Readonly<Record<string, Place>>;
    };

/** Opens the exchange of the tab that leads. */
export type OpenExchange = (observer: ExchangeObserver) => Exchange;

/** Hands one item to a tab. */
export function deliver(member: Member, delivery: Delivery, place: Place | undefined) {
  member.onItems([delivery], place ? { [delivery.lane]: place } : {});
}
