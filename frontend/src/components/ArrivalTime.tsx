const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

/** When something arrived, by the reader's own clock. */
export function ArrivalTime({ at }: { at: number }) {
  const date = new Date(at);
  return (
    <time
      dateTime={date.toISOString()}
      className="shrink-0 font-mono text-xs text-muted tabular-nums"
    >
      {clock.format(date)}
    </time>
  );
}
