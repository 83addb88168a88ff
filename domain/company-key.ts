// Which keys are companies'.

export function isCompany(key: string): boolean {
  return key.startsWith('c:');
}
