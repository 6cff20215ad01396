const two = (part: number) => String(part).padStart(2, '0');

/** A time of day by the reader's clock, from milliseconds since the epoch: `12:00:00` */
export function clock(time: number): string {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

/** `12:00:00.123` */
export const preciseClock = (time: number): string =>
  `${clock(time)}.${String(new Date(time).getMilliseconds()).padStart(3, '0')}`;
