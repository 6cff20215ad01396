import type {
  Exchange,
  ExchangeObserver,
  ExchangeState,
  Joined,
  PastOf,
  Reached,
  Want,
} from './exchange';
import type { Item } from './history';

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
  readonly pastOf: PastOf;
  readonly onJoined: (joined: Joined) => void;
  /** `reached` is how far the connections have come with the deliveries, by lane. */
  readonly onItems: (
    deliveries: readonly Delivery[],
    reached: Readonly<Record<string, Reached>>,
  ) => void;
  readonly onState: (state: ExchangeState) => void;
}

/** What a tab says to its leader. */
export type Request =
  | { readonly kind: 'wants'; readonly tab: string; readonly wants: readonly Want[] }
  | { readonly kind: 'retry' | 'question' };

/** What a leader says to its tabs. */
export type Answer =
  | { readonly kind: 'lead' | 'answer' }
  | { readonly kind: 'joined'; readonly tab: string; readonly joined: Joined }
  | { readonly kind: 'state'; readonly state: ExchangeState }
  | {
      readonly kind: 'items';
      readonly deliveries: readonly Delivery[];
      readonly reached: Readonly<Record<string, Reached>>;
    };

/** What tabs of a group say to each other. The term is the leader's: each has a later one than those before it. */
export type Message = Request | (Answer & { readonly term: number });

/** Opens the exchange of the tab that leads. */
export type OpenExchange = (observer: ExchangeObserver) => Exchange;

/** Hands one item to a tab. */
export function deliver(member: Member, delivery: Delivery, reached: Reached | undefined) {
  member.onItems([delivery], reached ? { [delivery.lane]: reached } : {});
}
