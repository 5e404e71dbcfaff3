using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Actors.Orders;

/// <summary>
/// What real services do to their callers, at random: answer slowly, fail before the work, fail after it, or answer when the caller has
/// gone. Seed, key and the number of times that the key was seen decide, so a key does not fail for ever, and the same calls meet the same
/// trouble.
/// </summary>
/// <param name="troublePercent">0 to 100: calls that meet any of the four, each as likely as the others.</param>
internal sealed class Unreliability(int seed, int troublePercent)
{
    private static readonly TimeSpan Late = TimeSpan.FromMilliseconds(1_500);      // the callers of the sample wait for a second

    private readonly ConcurrentDictionary<string, int> _calls = new(StringComparer.Ordinal);

    public async Task<IResult> AnswerAsync(string key, Func<Task<IResult>> work)
    {
        var call = _calls.AddOrUpdate(key, 1, (_, count) => count + 1);
        var random = BitConverter.ToUInt32(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed} {key} {call}")));
        if (random % 100 >= troublePercent)
        {
            return await work();
        }

        switch (random / 100 % 4)
        {
            case 0:
                await Task.Delay(TimeSpan.FromMilliseconds(50 + (random / 400 % 250)));
                return await work();
            case 1:
                return Results.StatusCode(StatusCodes.Status503ServiceUnavailable);
            case 2:
                await work();
                return Results.StatusCode(StatusCodes.Status500InternalServerError);
            default:
                var answer = await work();
                await Task.Delay(Late);
                return answer;
        }
    }
}
