// Runs in a page: `@openfeature/web-sdk` with its OFREP provider; what they tell is kept for the test.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';

const { context, ...options } = window.settings;
const client = OpenFeature.getClient();
window.events = [];
for (const type of Object.values(ProviderEvents)) {
  OpenFeature.addHandler(type, ({ message, flagsChanged }) =>
    window.events.push({ type, message, flagsChanged }),
  );
}
window.details = (type, flag, fallback) => client[`get${type}Details`](flag, fallback);

async function begin() {
  await OpenFeature.setContext(context);
  try {
    await OpenFeature.setProviderAndWait(new OFREPWebProvider(options));
    return { status: client.providerStatus };
  } catch ({ code, message }) {
    return { status: client.providerStatus, code, message };
  }
}
window.began = begin();
