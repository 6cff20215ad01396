import { publishCommands, type Publication } from '../lib/commands';
import { useHasRedis } from '../lib/use-has-redis';
import { CopyButton } from './CopyButton';

interface Props {
  /** The topics of the stream; empty until the gateway has named them. */
  topics: readonly string[];
  isLive: boolean;
  /** The gateway's, absolute. */
  url: string;
  /** An event as the screen expects it. */
  example?: Publication | undefined;
}

/** What stands in the place of the list before the first event: how to send one. */
export function EmptyState({ topics, isLive, url, example }: Props) {
  const hasRedis = useHasRedis(url);
  const commands = publishCommands(topics, `${url}/events`, example).filter(
    ({ tool }) => tool !== 'Redis' || hasRedis !== false,
  );
  return (
    <div className="flex min-h-0 flex-1 flex-col items-center justify-center gap-5 overflow-y-auto p-5 text-center">
      <div>
        <h3 className="font-semibold">
          {isLive ? 'Waiting for the first event' : 'No events yet'}
        </h3>
        <p className="mt-1 text-sm text-muted">
          {commands.length > 0 ? 'Send one from a terminal:' : 'New events will appear here.'}
        </p>
      </div>
      <ul className="w-full max-w-3xl space-y-2 text-start">
        {commands.map(({ tool, text }) => (
          <li
            key={tool}
            className="flex flex-wrap items-center gap-x-4 rounded-lg border border-line bg-raised px-4 py-2"
          >
            <span className="w-12 text-xs text-muted">{tool}</span>
            <code className="min-w-0 grow basis-40 font-mono text-[0.8125rem] wrap-anywhere">
              {text}
            </code>
            <CopyButton text={text} what={`the ${tool} command`} />
          </li>
        ))}
      </ul>
    </div>
  );
}
