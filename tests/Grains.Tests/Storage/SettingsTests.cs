using Actors.Grains.Tests.Execution;
using Actors.Storage;
using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A silo that does otherwise than its database's others does not join.</summary>
public sealed class SettingsTests
{
    [Theory]
    [InlineData("update actors.settings set value = '64' where name = 'ranges'", "ranges", "64", "128")]
    [InlineData("delete from actors.settings where name = 'lanes'", "lanes", "missing", "1")]
    [InlineData("insert into actors.settings values ('codec', 'zip')", "codec", "zip", "unknown to it")]
    public async Task Another_setting_refuses_the_join_and_says_which(string change, string name, string stored, string ours)
    {
        await using var database = await TestDatabase.CreateAsync();
        await database.ExecuteAsync(change);
        var error = await Assert.ThrowsAsync<SchemaSettingException>(() => database.ScriptAsync(_ => Task.FromResult("")));
        Assert.Equal(name, error.Name);
        Assert.Contains($"is {stored}, and this binary's is {ours}", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from actors.silos"));
    }
}
