import { type Kind, kinds } from '../../lib/topic';

interface Props {
  label: string;
  value: Kind;
  onChange: (kind: Kind) => void;
}

export function KindSelect({ label, value, onChange }: Props) {
  return (
    <select
      aria-label={label}
      value={value}
      onChange={({ target }) => onChange(target.value as Kind)}
      className="field"
    >
      {kinds.map((kind) => (
        <option key={kind}>{kind}</option>
      ))}
    </select>
  );
}
