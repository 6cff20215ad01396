import { useState } from 'react';
import { Choice } from '../../ui/Choice';
import type { ScreenProps } from '../../ui/screen-props';
import { Screen } from '../../ui/Screen';
import { Gateway } from './Gateway';
import { MachineHealth } from './MachineHealth';

const MINUTE = 60;
const spans = [1, 5, 15].map((minutes) => ({ value: minutes * MINUTE, text: `${minutes} min` }));

export default function Health({ topics }: ScreenProps) {
  /** Seconds. */
  const [span, setSpan] = useState(5 * MINUTE);
  return (
    <Screen
      title="Health"
      actions={<Choice label="Time shown" options={spans} value={span} onChange={setSpan} />}
    >
      <Gateway span={span} />
      {topics.map((topic) => (
        <MachineHealth key={topic} topic={topic} span={span} />
      ))}
    </Screen>
  );
}
