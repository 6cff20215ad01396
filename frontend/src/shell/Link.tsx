import type { ComponentProps, MouseEvent } from 'react';
import { urlOf } from '../lib/base';
import { navigate } from './location';

/** A link to a screen: a real one, which opens in another tab where that is asked for. */
export function Link({ href, ...props }: ComponentProps<'a'> & { href: string }) {
  function follow(event: MouseEvent) {
    const elsewhere = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (elsewhere || event.button !== 0) return;
    event.preventDefault();
    navigate(href);
  }
  return <a {...props} href={urlOf(href)} onClick={follow} />;
}
