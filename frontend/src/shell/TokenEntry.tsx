import { type Ref, type SubmitEvent, useId, useState } from 'react';
import { useStreamClient } from '@sluice/client/react';
import { Button } from '../ui/Button';
import { changeToken, token } from './token';

/** A field for an access token, which is used at once. */
export function TokenEntry({ onDone, ref }: { onDone: () => void; ref?: Ref<HTMLInputElement> }) {
  const client = useStreamClient();
  const [text, setText] = useState(() => token() ?? '');
  const id = useId();

  function change(next: string) {
    changeToken(client, next);
    setText(next);
    onDone();
  }

  function save(event: SubmitEvent) {
    event.preventDefault();
    change(text.trim());
  }

  return (
    <form onSubmit={save}>
      <label htmlFor={id} className="text-sm font-medium">
        Access token
      </label>
      <p id={`${id}-about`} className="mb-1.5 text-sm text-muted">
        A JWT for topics that are not public. It is kept until you close this tab.
      </p>
      <div className="flex gap-2">
        <input
          id={id}
          ref={ref}
          type="password"
          autoComplete="off"
          spellCheck={false}
          aria-describedby={`${id}-about`}
          className="field min-w-0 flex-1 font-mono"
          value={text}
          onChange={({ target }) => setText(target.value)}
          onFocus={({ target }) => target.select()}
        />
        <Button primary type="submit">
          Use
        </Button>
        {token() !== undefined && <Button onClick={() => change('')}>Remove</Button>}
      </div>
    </form>
  );
}
