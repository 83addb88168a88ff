// One event of the Segment spec, answered when Kafka has it.
import { buyerOf, handleSummary, options, post, SUCCESS } from './drive.js';

export { handleSummary, options };

export default function () {
  const body = {
    userId: buyerOf(20000),
    messageId: `bench-${__VU}-${__ITER}-${Date.now()}`,
    event: 'Product Viewed',
    timestamp: new Date().toISOString(),
    properties: { category: 'machinery', productId: 'p-1042', price: 129.5, currency: 'EUR' },
    context: { library: { name: 'bench', version: '1.0.0' }, location: { country: 'DE' } },
  };
  post(body, SUCCESS);
}
