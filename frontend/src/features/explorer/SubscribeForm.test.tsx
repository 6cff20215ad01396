import { fireEvent, render, screen } from '@testing-library/react';
import { useState } from 'react';
import { beforeEach, expect, it } from 'vitest';
import { SubscribeForm } from './SubscribeForm';
import type { Exploration } from './topics';

let exploration: Exploration;

function Form() {
  const [value, setValue] = useState<Exploration>({
    ...{ topics: ['channel:a', 'channel:b', 'channel:c'], last: 20, every: '', events: [] },
  });
  function change(next: Exploration) {
    exploration = next;
    setValue(next);
  }
  return <SubscribeForm exploration={value} onChange={change} />;
}

beforeEach(() => {
  render(<Form />);
});

it('keeps the focus in the event types after Enter', () => {
  const field = screen.getByLabelText('Event types');
  field.focus();
  fireEvent.change(field, { target: { value: 'a,,b' } });
  fireEvent.keyDown(field, { key: 'Enter' });
  expect(exploration.events).toEqual(['a', 'b']);
  expect(screen.getByLabelText('Event types')).toHaveFocus();
  expect(screen.getByLabelText('Event types')).toHaveValue('a, b');
});

it('moves the focus to a neighbour when a topic is removed, and at last to the name', () => {
  const remove = (name: string) => {
    const button = screen.getByLabelText(`Stop following channel:${name}`);
    button.focus();
    fireEvent.click(button);
  };
  remove('b');
  expect(screen.getByLabelText('Stop following channel:c')).toHaveFocus();
  remove('c');
  expect(screen.getByLabelText('Stop following channel:a')).toHaveFocus();
  remove('a');
  expect(screen.getByLabelText('Name')).toHaveFocus();
});

it.each([
  ['5000', 1_000],
  ['-3', 0],
  ['2.5', 2],
  ['', 0],
])('reads %j as the number of recent events: %i', (text, last) => {
  fireEvent.change(screen.getByLabelText('Start with the last'), { target: { value: text } });
  expect(exploration.last).toBe(last);
});
