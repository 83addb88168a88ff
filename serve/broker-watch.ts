// Whether any Kafka broker takes connections: asked by itself, so that an outage is answered at once and not after a timeout.
import net from 'node:net';

const CHECK_INTERVAL_MS = 1_000;
const CONNECT_TIMEOUT_MS = 1_000;
const DEFAULT_PORT = 9_092;

export interface BrokerWatch {
  isUp(): boolean;
  close(): void;
}

function takesConnections(broker: string): Promise<boolean> {
  const [host, port] = broker.split(/:(?=\d+$)/);
  return new Promise((resolve) => {
    const socket = net.connect({ host: host!, port: Number(port ?? DEFAULT_PORT) });
    const settle = (up: boolean): void => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** Starts up and looks every second; one broker is enough. */
export function watchBrokers(brokers: string, onChange: (up: boolean) => void): BrokerWatch {
  const addresses = brokers.split(',').map((broker) => broker.trim());
  let up = true;
  let closed = false;
  let timer: NodeJS.Timeout;
  const look = async (): Promise<void> => {
    const answers = await Promise.all(addresses.map(takesConnections));
    if (closed) return;
    const now = answers.includes(true);
    if (now !== up) {
      up = now;
      onChange(up);
    }
    timer = setTimeout(look, CHECK_INTERVAL_MS).unref();
  };
  timer = setTimeout(look, CHECK_INTERVAL_MS).unref();
  return {
    isUp: () => up,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}
