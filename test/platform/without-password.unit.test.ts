// No message shows a password that stands in an address.
import { expect, it } from 'vitest';
import { withoutPassword } from '../../platform/without-password.ts';

it.each([
  ['redis://127.0.0.1:16379', 'redis://127.0.0.1:16379'],
  ['redis://a:1,redis://b:2', 'redis://a:1,redis://b:2'],
  ['a:1,b:2', 'a:1,b:2'],
  ['https://flywheel:s3cret@ch:8443', 'https://…@ch:8443'],
  ['redis://:s3cret@a,redis://:s3cret@b', 'redis://…@a,redis://…@b'],
  ['redis+cluster://u:s3cret@a,u:s3cret@b', 'redis+cluster://…@b'],
  ['u:s3cret@a,b', '…@a,b'],
  ['redis://:s3@s3cret@a', 'redis://…@a'],
  ['redis://:p/s3cret@a/0', 'redis://…@a/0'],
  ['redis://:s3//cret@a', 'redis://…@a'],
  ['redis://:s3//cret@a,redis://:s3//cret@b', 'redis://…@a,redis://…@b'],
  ['https://u:p,s3cret@ch', 'https://…@ch'],
  ['https://ch:8443?access_token=s3cret', 'https://ch:8443'],
  ['https://ch?access_token=s3,cret,http://b', 'https://ch,http://b'],
  ['redis://a?password=s3cret,redis://b?db=1', 'redis://a,redis://b'],
  ['redis://a?password=s3@s3cret', 'redis://a'],
  ['redis://a:6379/0?tls&password=a@s3cret', 'redis://a:6379/0'],
  ['redis://u:s3cret@[::1]:6379?password=s3@s3cret', 'redis://…@[::1]:6379'],
  ['redis://a:1,b:2?password=s3@s3cret', 'redis://a:1,b:2'],
  ['a:1,b:2?password=s3@s3cret', 'a:1,b:2'],
  ['https://ch?access_token=x@s3cret', 'https://ch'],
  ['redis://:s3?s3cret@a', 'redis://…@a'],
  ['redis://:s3?c=ret@a?db=1', 'redis://…@a'],
  ['redis://u:123?s3cret@a', 'redis://…@a'],
])('%s is shown as %s', (addresses, shown) => {
  expect(withoutPassword(addresses)).toBe(shown);
});
