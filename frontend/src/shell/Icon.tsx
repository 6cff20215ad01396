/** Line drawings on a grid of 24, in the colour of the text beside them. */
const paths = {
  live: 'M4 9c2-2 4-2 6 0s4 2 6 0 3-1.700 4-1.700M4 16c2-2 4-2 6 0s4 2 6 0 3-1.700 4-1.700',
  analytics: 'M4 20V10m5.300 10V4m5.400 16v-7M20 20V8',
  logs: 'M4 6h16M4 11h11M4 16h16M4 21h7',
  notifications: 'M6 17v-6a6 6 0 0 1 12 0v6l2 2H4ZM10 22h4',
  prices: 'M3 17l6-6 4 4 8-9m-5 0h5v5',
  runs: 'M4 6h12M4 11h16M4 16h8m4-2 4 3-4 3Z',
  health: 'M3 12h4l3-8 4 16 3-8h4',
  explorer: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 5 5',
  more: 'M4.500 12h1M11.500 12h1M18.500 12h1',
  settings:
    'M4 7h8.500m5 0H20M4 17h2.500m5 0H20M15 4.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM9 14.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5Z',
  keyboard: 'M3 7h18v10H3ZM7 11h.01M11 11h.01M15 11h.01M8 14h8',
  command:
    'M9 9V6.500A2.500 2.500 0 1 0 6.500 9H17.500A2.500 2.500 0 1 0 15 6.500V17.500A2.500 2.500 0 1 0 17.500 15H6.500A2.500 2.500 0 1 0 9 17.500Z',
  retry: 'M20 12a8 8 0 1 1-2.500-5.800M20 3v4h-4',
  theme: 'M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16Zm0 0v16M12 8h3.500M12 12h4M12 16h3.500',
  token: 'M7.500 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm4-4H21m-3 0v3.500M15 12v2.500',
  close: 'M6 6l12 12M18 6 6 18',
} as const;

export type IconName = keyof typeof paths;

/** A picture that says the same as the text beside it. */
export function Icon({ name, className = 'size-5' }: { name: IconName; className?: string }) {
  return (
    <svg
      viewBox="0 0 24 24"
      className={`shrink-0 ${className}`}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  );
}
