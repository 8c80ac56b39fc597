/** The job of launchd (launchd.plist(5)) that runs `serve` on macOS. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Prefix, ServiceNote } from '../update/prefix.js';

export function plistPath({ scope, name }: Pick<ServiceNote, 'scope' | 'name'>): string {
  const dir = scope === 'user' ? join(homedir(), 'Library', 'LaunchAgents') : '/Library/LaunchDaemons';
  return join(dir, `${name}.plist`);
}

/**
 * Started at login (a daemon: at boot), again when it fails, and not more often than every ten seconds. launchd runs one command: a shell that first finishes
 * what an update left, then becomes the server.
 * @param node the program that runs Node, absolute
 */
export function plistText(
  prefix: Prefix,
  service: ServiceNote,
  settings: Readonly<Record<string, string>>,
  node: string,
): string {
  const script = `"$0" "$1" && shift && exec "$0" "$@"`;
  const command = [
    '/bin/sh',
    '-c',
    script,
    node,
    prefix.path('resume.mjs'),
    prefix.currentMain,
    'serve',
    ...service.arguments,
  ];
  const strings = (values: readonly string[]) =>
    values.map(value => `    <string>${escaped(value)}</string>`).join('\n');
  const pairs = Object.entries(settings)
    .map(([name, value]) => `    <key>${escaped(name)}</key>\n    <string>${escaped(value)}</string>`)
    .join('\n');
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${escaped(service.name)}</string>
  <key>ProgramArguments</key>
  <array>
${strings(command)}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
${pairs}
  </dict>
${service.user === undefined ? '' : `  <key>UserName</key>\n  <string>${escaped(service.user)}</string>\n`}  <key>WorkingDirectory</key>
  <string>${escaped(prefix.dir)}</string>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>30</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardOutPath</key>
  <string>${escaped(prefix.path('service.log'))}</string>
  <key>StandardErrorPath</key>
  <string>${escaped(prefix.path('service.log'))}</string>
</dict>
</plist>
`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, character => ENTITIES[character]!);
