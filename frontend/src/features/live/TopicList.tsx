/** The topics that a stream follows. */
export function TopicList({ topics }: { topics: readonly string[] }) {
  if (topics.length === 0) return null;
  return (
    <ul aria-label="Topics" className="flex basis-full flex-wrap gap-1.5">
      {topics.map((topic) => (
        <li
          key={topic}
          className="rounded-md bg-accent-soft px-2 py-0.5 font-mono text-xs text-accent wrap-anywhere"
        >
          {topic}
        </li>
      ))}
    </ul>
  );
}
