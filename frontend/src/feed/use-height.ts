import { type RefObject, useLayoutEffect, useState } from 'react';

/** The height of an element's inside, in pixels. */
export function useHeight(element: RefObject<HTMLElement | null>): number {
  const [height, setHeight] = useState(0);

  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return;
    const resizing = new ResizeObserver(() => setHeight(target.clientHeight));
    resizing.observe(target);
    return () => resizing.disconnect();
  }, [element]);

  return height;
}
