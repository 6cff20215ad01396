const toSeconds = { hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;
const coarse = new Intl.DateTimeFormat('en-GB', toSeconds);
const fine = new Intl.DateTimeFormat('en-GB', { ...toSeconds, fractionalSecondDigits: 3 });

/** A time of day by the reader's clock, from milliseconds since the epoch: `12:00:00` */
export const clock = (time: number): string => coarse.format(time);

/** `12:00:00.123` */
export const preciseClock = (time: number): string => fine.format(time);
