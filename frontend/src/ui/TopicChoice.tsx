import { useId } from 'react';

interface Props {
  topics: readonly string[];
  value: string;
  onChange: (topic: string) => void;
}

/** A choice between the topics of the page. Renders nothing for a single topic. */
export function TopicChoice({ topics, value, onChange }: Props) {
  const id = useId();
  if (topics.length < 2) return null;
  return (
    <div className="flex min-w-0 items-center gap-2 text-sm">
      <label htmlFor={id} className="text-muted">
        Topic
      </label>
      <select
        id={id}
        value={value}
        onChange={({ target }) => onChange(target.value)}
        className="field min-w-0 font-mono"
      >
        {topics.map((topic) => (
          <option key={topic}>{topic}</option>
        ))}
      </select>
    </div>
  );
}
